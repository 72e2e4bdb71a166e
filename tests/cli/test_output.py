"""Results are written whole or not at all, in the format of their extension."""

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from neurode.cli.output import Destination, write_atomically
from neurode.core.errors import DataError

FRAME = pd.DataFrame({"name": ["Amy", "Bob, Jr."], "time": [0.5, 1.0], "wind": [30.25, None]})


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.CSV", "out.v2.csv"])
def test_csv_reads_back_as_it_was(tmp_path, name):
    Destination.check(tmp_path / name).write(FRAME)
    compression = "gzip" if name.endswith("gz") else None
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / name, compression=compression), FRAME)


def test_parquet_reads_back_as_it_was(tmp_path):
    Destination.check(tmp_path / "out.parquet").write(FRAME)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), FRAME)


def test_a_packed_file_has_the_same_bytes_each_time(tmp_path):
    Destination.check(tmp_path / "a.csv.gz").write(FRAME)
    Destination.check(tmp_path / "b.csv.gz").write(FRAME)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_without_a_path_the_table_goes_to_standard_output_as_csv(capsys):
    Destination.check(None).write(FRAME)
    assert capsys.readouterr().out == 'name,time,wind\nAmy,0.5,30.25\n"Bob, Jr.",1.0,\n'


@pytest.mark.parametrize("name", ["out.xlsx", "out", ".csv", "out.csv.zip"])
def test_an_unknown_extension_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(DataError, match=r"must be one of \.csv, \.csv\.gz, \.parquet"):
        Destination.check(tmp_path / name)


def test_a_folder_is_refused_with_a_file_name_to_try(tmp_path):
    with pytest.raises(DataError, match=r"this is a folder; name a file in it.*result\.csv"):
        Destination.check(tmp_path)


def test_a_missing_folder_is_refused_with_the_line_that_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"does not exist.*mkdir -p"):
        Destination.check(tmp_path / "nowhere" / "out.csv")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file, not a folder"):
        Destination.check(tmp_path / "file" / "out.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="may not be written"):
        Destination.check(tmp_path / "out.csv")


def test_the_input_is_never_overwritten(tmp_path):
    table = tmp_path / "table.csv"
    FRAME.to_csv(table, index=False)
    (tmp_path / "link.csv").symlink_to(table)
    with pytest.raises(DataError, match="this is the input"):
        Destination.check(tmp_path / "link.csv", table)


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("x")]
)
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "out.csv"
    path.write_text("what was there\n")

    def write(stream):
        stream.write(b"half a line")
        raise failure

    with pytest.raises(type(failure)):
        write_atomically(path, write)
    assert path.read_text() == "what was there\n"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_full_disk_is_told_with_the_name_of_the_users_file(tmp_path):
    def write(stream):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"out\.csv") as caught:
        write_atomically(tmp_path / "out.csv", write)
    assert caught.value.filename == str(tmp_path / "out.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_output_is_an_error_and_not_silence():
    import subprocess
    import sys

    code = (
        "import pandas as pd\nfrom neurode.cli.output import Destination\nfrom neurode.cli.verb import run_guarded\n"
        "from neurode.cli.streams import Streams\n"
        "run_guarded(lambda streams: Destination(None).write(pd.DataFrame({'a': range(100000)})), Streams())"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: the disk is full")
    assert "Traceback" not in done.stderr


def test_the_new_file_has_the_rights_of_an_ordinary_one(tmp_path):
    Destination.check(tmp_path / "out.csv").write(FRAME)
    (tmp_path / "ordinary").write_text("")
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "ordinary").stat().st_mode

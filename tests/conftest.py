"""What holds for every test: one thread, the same random examples each time, and no network."""

import ipaddress
import os
import socket

# Before torch is imported anywhere: tests run in two processes on two cores, and more threads only fight over them.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis  # noqa: E402 - the environment above comes first
import torch  # noqa: E402

torch.set_num_threads(1)

# derandomize: a failure on one machine is a failure on every machine. No deadline: a shared machine may pause.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")

_connect = socket.socket.connect
_getaddrinfo = socket.getaddrinfo
_OWN_NAMES = {"", "localhost", socket.gethostname().lower()}


def _is_own(host: object) -> bool:
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name.lower() in _OWN_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _refuse(host: object) -> None:
    raise OSError(f"a test tried to reach {host!r}: neurode and its tests use no network but this machine's own")


def _guarded_connect(self: socket.socket, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_own(address[0]):
        _refuse(address[0])
    return _connect(self, address)


def _guarded_getaddrinfo(host, *args, **kwargs):
    if not _is_own(host):
        _refuse(host)
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = _guarded_connect
socket.getaddrinfo = _guarded_getaddrinfo

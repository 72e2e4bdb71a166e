"""Tracks: forecasts of a latitude and a longitude, drawn as the paths they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurode.report.bands import STRETCH, chosen_words, panel_title
from neurode.report.picture import Picture
from neurode.report.style import (
    AXIS,
    BLUE,
    INK,
    PAPER,
    VERMILION,
    amount,
    clean,
    drawing,
    legend_above,
    new_figure,
    percent,
    plural,
)
from neurode.tasks.series.results import FORECAST, SeriesExample
from neurode.tasks.series.scoring.metrics import find_position

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4
"""Tracks in one picture."""


@dataclass(frozen=True)
class Track:
    """The forecasts of one series' latitude and longitude, which lie on the same times."""

    latitude: SeriesExample
    longitude: SeriesExample


def find_tracks(examples: Sequence[SeriesExample]) -> tuple[Track, ...]:
    """The forecasts among `examples` that have a latitude and a longitude of the same series."""
    forecasts = [example for example in examples if example.task == FORECAST and example.cut is not None]
    places = find_position(tuple(dict.fromkeys(example.feature for example in forecasts)))
    if places is None:
        return ()
    names = tuple(dict.fromkeys(example.feature for example in forecasts))
    by_name = {(example.key, example.why, example.feature): example for example in forecasts}
    tracks = []
    for key, why in dict.fromkeys((example.key, example.why) for example in forecasts):
        pair = [by_name.get((key, why, names[place])) for place in places]
        if pair[0] is not None and pair[1] is not None and np.array_equal(pair[0].times, pair[1].times):
            tracks.append(Track(pair[0], pair[1]))
    return tuple(track for track in tracks if np.isfinite(track.latitude.mean + track.longitude.mean).any())


def without_positions(examples: Sequence[SeriesExample]) -> tuple[SeriesExample, ...]:
    """The examples of features other than the latitude and the longitude."""
    names = tuple(dict.fromkeys(example.feature for example in examples))
    places = {names[place] for place in find_position(names) or ()}
    return tuple(example for example in examples if example.feature not in places)


def track_picture(examples: Sequence[SeriesExample]) -> Picture | None:
    """The tracks among the forecasts as one picture with its caption, or None where the table has no positions."""
    tracks = find_tracks(examples)[:SHOWN]
    if not tracks:
        return None
    return Picture(draw_tracks(tracks), _caption(tracks), "Tracks forecast beyond the cut, and those that followed.")


def draw_tracks(tracks: Sequence[Track]) -> "Figure":
    """Up to four tracks on the map, east to the right and north up; ValueError if there is none."""
    shown = tracks[:SHOWN]
    if not shown:
        raise ValueError("no forecast of a latitude and a longitude was given; there is nothing to draw")
    with drawing():
        columns = len(shown) if len(shown) < 4 else 2
        rows = len(shown) // columns
        width = 6.8 if rows > 1 else 9.2 if columns > 1 else 4.6
        figure = new_figure(3.3 * rows + 0.2, width)
        for axes, track in zip(figure.subplots(rows, columns, squeeze=False).flat, shown, strict=True):
            _draw_track(axes, track)
        legend_above(figure, figure.axes[0])
    return figure


def _draw_track(axes: "Axes", track: Track) -> None:
    north, east = track.latitude, track.longitude
    cut, last = float(north.cut or 0.0), float(north.times[-1])
    since = cut - STRETCH * (last - cut)
    ahead = north.times >= cut
    seen, hidden = _points(track, observed=True), _points(track, observed=False)
    seen = seen[seen[:, 2] >= since]
    _draw_boxes(axes, track)
    axes.plot(seen[:, 0], seen[:, 1], "o-", color=INK, lw=0.8, ms=3, mew=0, label="given to the model")
    axes.plot(east.mean[ahead], north.mean[ahead], color=BLUE, lw=2.0, label="forecast")
    axes.plot(hidden[:, 0], hidden[:, 1], "o--", color=VERMILION, lw=0.8, ms=4.5, mfc=PAPER, label="what followed")
    axes.set_title(panel_title(north, 32))
    axes.set_xlabel(f"{clean(east.feature, 20)}, degrees")
    axes.set_ylabel(f"{clean(north.feature, 20)}, degrees")
    axes.margins(0.06)
    middle = float(np.nanmean(np.concatenate([seen[:, 1], north.mean[ahead]])))
    # A degree of longitude is shorter the further one is from the equator.
    axes.set_aspect(1 / max(0.2, np.cos(np.radians(middle))), adjustable="box", anchor="NW")
    _square(axes)


def _square(axes: "Axes") -> None:
    """Widen the narrower direction, so that all panels have the same shape."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    stretch = axes.get_aspect()
    width, height = right - left, (high - low) * float(stretch)
    if width < height:
        axes.set_xlim(0.5 * (left + right - height), 0.5 * (left + right + height))
    else:
        half = 0.5 * width / float(stretch)
        axes.set_ylim(0.5 * (low + high) - half, 0.5 * (low + high) + half)


def _draw_boxes(axes: "Axes", track: Track) -> None:
    """Where both intervals hold, at the times that followed, the last one strongest."""
    times = track.latitude.hidden_times
    for place, time in enumerate(times):
        left, right, low, high = (
            float(np.interp(time, track.latitude.times, edge))
            for edge in (track.longitude.lo, track.longitude.hi, track.latitude.lo, track.latitude.hi)
        )
        last = place == len(times) - 1
        axes.fill(
            [left, right, right, left],
            [low, low, high, high],
            fc=BLUE if last else "none",
            ec=BLUE if last else AXIS,
            alpha=0.16 if last else 0.9,
            lw=0 if last else 0.7,
            label=f"{percent(track.latitude.coverage)} intervals at the end" if last else None,
        )


def _points(track: Track, *, observed: bool) -> np.ndarray:
    """Places (n, 3) where both coordinates are known: longitude, latitude, time."""
    north, east = track.latitude, track.longitude
    pairs = (
        ((north.observed_times, north.observed), (east.observed_times, east.observed))
        if observed
        else ((north.hidden_times, north.hidden), (east.hidden_times, east.hidden))
    )
    (times, latitudes), (other, longitudes) = pairs
    both, here, there = np.intersect1d(times, other, return_indices=True)
    return np.stack([longitudes[there], latitudes[here], both], axis=-1)


def _caption(tracks: Sequence[Track]) -> str:
    ahead = max(float(track.latitude.times[-1]) - float(track.latitude.cut or 0.0) for track in tracks)
    unit = clean(tracks[0].latitude.time_unit, 20)
    level = percent(tracks[0].latitude.coverage)
    said = (
        f"Forecasts as {plural(len(tracks), 'track')}: dark, where each was until the cut; blue, the forecast "
        f"of the next {amount(ahead)} {unit}; red, where it went. The boxes span the {level} intervals of both "
        "coordinates, each for itself, at the times of the red circles. "
        f"{chosen_words([track.latitude.why for track in tracks])}"
    )
    return " ".join(said.split())

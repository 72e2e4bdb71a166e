from dataclasses import replace

import pytest
import torch

from neurode.models.hiding import FILL, FORECAST, RECONSTRUCT, TaskMixture, draw_hiding, newest_time, within_history
from tests.models.made_batches import made_batch, padded

ONLY = {
    FORECAST: {"forecast": 1, "fill": 0, "reconstruct": 0},
    FILL: {"forecast": 0, "fill": 1, "reconstruct": 0},
    RECONSTRUCT: {"forecast": 0, "fill": 0, "reconstruct": 1},
}


def only(task: int, **options) -> TaskMixture:
    return TaskMixture(**ONLY[task], **options)


def test_a_forecast_asks_only_for_what_comes_after_all_that_is_seen():
    batch = made_batch(4, 9, 15)
    for epoch in range(20):
        hiding = draw_hiding(batch, only(FORECAST), seed=0, epoch=epoch)
        assert torch.equal(hiding.seen | hiding.asked, batch.mask)
        first_asked = torch.where(hiding.asked.any(2), batch.times, torch.inf).amin(1)
        assert (newest_time(batch.times, hiding.seen) < first_asked).all()
        assert hiding.seen.any(2).any(1).all()
        assert torch.isfinite(first_asked).all()


def test_every_cut_of_a_series_is_drawn_about_equally_often():
    batch = made_batch(5)
    seen = [int(draw_hiding(batch, only(FORECAST), seed=0, epoch=e).seen.any(2).sum()) for e in range(400)]
    counts = torch.bincount(torch.tensor(seen), minlength=5)
    assert counts[0] == 0
    assert (counts[1:5] > 60).all()


def test_horizon_and_history_limit_a_forecast_and_a_gap_does_not_empty_it():
    batch = made_batch(30, 30)
    for epoch in range(20):
        hiding = draw_hiding(batch, only(FORECAST, horizon=0.2, history=0.3), seed=0, epoch=epoch)
        cut = newest_time(batch.times, hiding.seen)[:, None]
        seen_times = torch.where(hiding.seen.any(2), batch.times, cut)
        assert (seen_times >= cut - 0.3 - 1e-6).all()
        late = hiding.asked.any(2) & (batch.times > cut + 0.2 + 1e-6)
        following = torch.where(batch.times > cut, batch.times, torch.inf).amin(1, keepdim=True)
        assert (batch.times[late] == following.expand_as(batch.times)[late]).all()
        assert hiding.asked.any(2).any(1).all()


def test_filling_hides_at_least_one_cell_and_never_all():
    batch = made_batch(2, 5, 12)
    shares = []
    for epoch in range(100):
        hiding = draw_hiding(batch, only(FILL, hide=(0.2, 0.4)), seed=3, epoch=epoch)
        assert torch.equal(hiding.seen | hiding.asked, batch.mask)
        assert not (hiding.seen & hiding.asked).any()
        assert hiding.asked.flatten(1).any(1).all()
        assert hiding.seen.flatten(1).any(1).all()
        shares.append(float(hiding.asked[2].sum() / batch.mask[2].sum()))
    assert 0.2 < sum(shares) / len(shares) < 0.4


def test_reconstruction_sees_and_asks_everything():
    batch = made_batch(4, 6)
    hiding = draw_hiding(batch, only(RECONSTRUCT), seed=0, epoch=0)
    assert torch.equal(hiding.seen, batch.mask)
    assert torch.equal(hiding.asked, batch.mask)


@pytest.mark.parametrize("task", [FORECAST, FILL])
def test_a_series_too_short_for_its_task_is_reconstructed(task):
    batch = made_batch(1, 6, num_features=1)
    hiding = draw_hiding(batch, only(task), seed=0, epoch=0)
    assert hiding.task.tolist() == [RECONSTRUCT, task]
    assert torch.equal(hiding.asked[0], batch.mask[0])


def test_the_draw_is_the_same_alone_in_any_batch_and_with_any_padding_and_new_each_epoch():
    batch, mixture = made_batch(5, 12, 7), TaskMixture(horizon=0.3)
    for epoch in range(10):
        whole = draw_hiding(batch, mixture, seed=1, epoch=epoch)
        longer = draw_hiding(padded(batch, 3), mixture, seed=1, epoch=epoch)
        assert torch.equal(longer.seen[:, :12], whole.seen)
        for i in range(3):
            alone = draw_hiding(batch.rows([i]), mixture, seed=1, epoch=epoch)
            rows = alone.seen.shape[1]
            assert torch.equal(alone.seen[0], whole.seen[i, :rows])
            assert torch.equal(alone.asked[0], whole.asked[i, :rows])
            assert alone.task[0] == whole.task[i]
    other = draw_hiding(batch, mixture, seed=1, epoch=10)
    assert not torch.equal(other.seen, whole.seen)


def test_tasks_come_as_often_as_their_weights_say():
    batch = made_batch(*[6] * 40)
    mixture = TaskMixture(forecast=3, fill=1, reconstruct=1)
    tasks = torch.cat([draw_hiding(batch, mixture, seed=0, epoch=e).task for e in range(25)])
    shares = torch.bincount(tasks, minlength=3) / len(tasks)
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.2, 0.2]), atol=0.05, rtol=0)


def test_history_keeps_what_is_near_the_newest_observation():
    batch = made_batch(8, blanks=0.0)
    near = within_history(batch.times, batch.mask, 0.25)
    assert torch.equal(near[..., 0], batch.times >= batch.times.amax() - 0.25)
    assert within_history(batch.times, batch.mask, None) is batch.mask
    nothing = replace(batch, mask=torch.zeros_like(batch.mask))
    assert newest_time(nothing.times, nothing.mask).item() == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"forecast": -1.0}, "must be finite, not negative"),
        ({"forecast": 0, "fill": 0, "reconstruct": 0}, "not all 0"),
        ({"hide": (0.5, 0.2)}, r"hide=\(0.5, 0.2\)"),
        ({"horizon": 0.0}, "horizon=0.0 must be positive"),
        ({"history": -1.0}, "history=-1.0 must be positive"),
    ],
)
def test_impossible_mixtures_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TaskMixture(**wrong)

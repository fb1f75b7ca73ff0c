"""The training loop on a toy: what it does in a step, that nothing is lost however it ends, and that it goes on from
there as if nothing had happened."""

from __future__ import annotations

import json
import os
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from toy_training import WEIGHTS, Toy, run

from lga_core import InputError, LgaError, MismatchError, OutputError
from lga_core.formats import native
from lga_core.formats.native import load_checkpoint
from lga_trainer.training.distributed import Share, TrainingError, Workers
from lga_trainer.training.loop import Stopped, cosine, ema_update, gradients_of, step_generator, take_step
from lga_trainer.training.run_folder import RunFolder

TIMES = ("seconds", "frames_per_second", "memory_mb")


def state(folder) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "state.safetensors", "training").tensors


def steps_saved(folder) -> int:
    return load_checkpoint(folder / "state.safetensors", "training").metadata["step"]


def rows(folder) -> list[dict[str, float]]:
    """What was logged, but for what depends on the clock."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name not in TIMES} for line in lines]


def assert_same_run(folder, other):
    ours, theirs = state(folder), state(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert rows(folder) == rows(other)


def tell(number: int):
    return lambda: os.kill(os.getpid(), number)


class PowerFailure(Exception):
    pass


def fail(error: type[BaseException] = PowerFailure, *words):
    def now():
        raise error(*words)

    return now


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


# A step


@pytest.fixture
def workers():
    return Workers("cpu")


def test_the_logged_dict_is_the_summed_dict(workers):
    toy = Toy()
    batch = toy.batch(0, Share(0, 1))
    terms = toy.answers(batch)
    total = sum(WEIGHTS[name] * term for name, term in terms.items())
    gradients, _ = gradients_of(toy.objectives[0], [batch], {"fit": 1.0, "size": 0.1})
    torch.testing.assert_close(tuple(gradients), torch.autograd.grad(total, list(toy.pupil.parameters())))

    row = take_step(toy, 0, 1, workers)
    logged = {name.removeprefix("pupil/"): value for name, value in row.items() if name.startswith("pupil/")}
    assert logged.keys() == {"fit", "size", "total", "gradient"}  # nothing of weight 0
    assert logged["total"] == pytest.approx(total.item())
    assert all(logged[name] == pytest.approx(term.item()) for name, term in terms.items())
    assert logged["gradient"] == pytest.approx(sum(g.square().sum() for g in gradients).sqrt().item())


def test_weights_are_those_of_the_step(workers):
    toy = Toy()
    toy.objectives[1].weights = lambda step: {"doubt": 1.0 + step}
    row = take_step(toy, 3, 1, workers)
    assert row["critic/total"] == pytest.approx(4 * row["critic/doubt"])


@pytest.mark.parametrize("names", [["fit", "size", "unseen"], ["fit"]], ids=["one too many", "one too few"])
def test_a_loss_that_is_not_weighed_or_a_weight_without_a_loss_is_a_bug_that_shows(workers, names):
    toy = Toy()
    toy.objectives[0].losses = lambda batch: {name: toy.pupil(batch[1]).mean() for name in names}
    with pytest.raises(ValueError, match="pupil computes .* but weighs"):
        take_step(toy, 0, 1, workers)


def test_an_objective_without_weights_at_a_step_rests(workers):
    toy, before = Toy(), [parameter.clone() for parameter in Toy().critic.parameters()]
    toy.objectives[1].weights = lambda step: {"doubt": float(step)}
    toy.objectives[1].losses = lambda batch: {"doubt": toy.doubts(batch)["doubt"]} if batch[0] else fail()()
    assert not any(name.startswith("critic") for name in take_step(toy, 0, 1, workers))
    assert all(torch.equal(now, then) for now, then in zip(toy.critic.parameters(), before, strict=True))
    assert toy.objectives[1].optimizer.state == {}
    assert take_step(toy, 1, 1, workers)["critic/doubt"] > 0


def test_an_objective_s_gradient_reaches_its_own_parameters_alone(workers):
    toy = Toy()
    toy.objectives.pop()  # the critic's own; the pupil's loss goes through the critic, too
    before = toy.critic.weight.clone()
    take_step(toy, 0, 1, workers)
    assert toy.critic.weight.grad is None and torch.equal(toy.critic.weight, before)
    assert toy.pupil.weight.grad is None  # nor is anything left over for the next step


def test_parts_of_a_batch_give_the_gradient_of_the_whole():
    whole, parts = Toy(batch=6), Toy(batch=6, accumulate=3)
    weights = {"fit": 1.0, "size": 0.1}
    expected, terms = gradients_of(whole.objectives[0], [whole.batch(2, Share(0, 1))], weights)
    batches = [parts.batch(2, Share(i, 3)) for i in range(3)]
    found, found_terms = gradients_of(parts.objectives[0], batches, weights)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_terms, terms)


def test_a_run_in_parts_takes_the_steps_of_a_run_in_one(tmp_path):
    for folder, accumulate in (("one", 1), ("parts", 2)):
        run(tmp_path / folder, Toy(batch=4, accumulate=accumulate), accumulate=accumulate)
    one, parts = state(tmp_path / "one"), state(tmp_path / "parts")
    torch.testing.assert_close(parts, one, atol=1e-5, rtol=1e-4)
    for ours, theirs in zip(rows(tmp_path / "one"), rows(tmp_path / "parts"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_learning_rates_are_the_step_s_times_each_group_s_own(workers):
    toy = Toy()
    assert take_step(toy, 4, 1, workers)["lr"] == pytest.approx(0.02)
    assert [group["lr"] for group in toy.objectives[0].optimizer.param_groups] == pytest.approx([0.02, 0.01])


@pytest.mark.parametrize("longest", [0.5, 1e6])
def test_a_long_gradient_is_cut_to_length_and_logged_as_it_was(workers, longest):
    toy, plain = Toy(clip_norm=longest), Toy()
    toy.objectives[0].optimizer = torch.optim.SGD(toy.pupil.parameters(), lr=1.0)
    before = nn.utils.parameters_to_vector(toy.pupil.parameters()).clone()
    found = take_step(toy, 0, 1, workers)["pupil/gradient"]
    assert found == pytest.approx(take_step(plain, 0, 1, workers)["pupil/gradient"])
    step = (nn.utils.parameters_to_vector(toy.pupil.parameters()) - before).norm().item()
    assert step == pytest.approx(min(longest, found) * 0.1, rel=1e-5)  # the toy's learning rate at step 0


def test_an_average_follows_at_its_pace_and_copies_counters():
    average, model = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    model.weight.data.fill_(5.0)
    model.num_batches_tracked.fill_(7)
    ema_update(average, model, 0.75)
    assert average.weight.tolist() == [2.0, 2.0]
    assert average.num_batches_tracked == 7


def test_a_step_s_randomness_is_of_its_seed_and_number_alone():
    draws = {
        (seed, step): torch.rand(1, generator=step_generator(seed, step)).item() for seed in (0, 1) for step in (0, 1)
    }
    assert len(set(draws.values())) == 4
    assert torch.rand(1, generator=step_generator(1, 1)).item() == draws[1, 1]


def test_a_cosine_goes_from_one_to_zero_and_stays():
    assert [cosine(x) for x in (0, 0.5, 1, 2)] == pytest.approx([1, 0.5, 0, 0])


# A run


def test_a_run_logs_and_saves_and_shows_at_its_pace(tmp_path):
    shown = []
    toy = Toy()
    toy.preview = lambda path: shown.append(path.name) or Toy.preview(toy, path)
    run(tmp_path, toy, steps=7, log_every=3, preview_every=2)
    assert [row["step"] for row in rows(tmp_path)] == [3, 6, 7]
    assert shown == ["step_000002.png", "step_000004.png", "step_000006.png"]
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == shown
    assert steps_saved(tmp_path) == 7
    logged = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert logged.keys() >= {"step", "pupil/fit", "pupil/total", "pupil/gradient", "critic/doubt", "lr", *TIMES}
    assert logged["frames_per_second"] > 0 and logged["memory_mb"] > 10


def test_the_toy_learns(whole):
    first, *_, last = rows(whole)
    assert last["pupil/fit"] < first["pupil/fit"]


@pytest.mark.parametrize("last", [1, 2, 3, 5])
def test_a_run_that_died_goes_on_to_the_very_bits_of_one_that_did_not(tmp_path, whole, last):
    """It dies in the middle of a step, wherever its last save and its last logged row are."""
    with pytest.raises(PowerFailure):
        run(tmp_path, Toy(at_step={last: fail()}))
    assert last < 2 or steps_saved(tmp_path) == last - last % 2
    run(tmp_path)
    assert_same_run(tmp_path, whole)


@pytest.fixture
def deaf():
    """A signal that the loop lets through ends nothing, least of all the tests."""
    before = {number: signal.signal(number, do_nothing) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def do_nothing(*_):
    pass


@pytest.mark.usefixtures("deaf")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_with_all_of_it_saved(tmp_path, whole, number):
    with pytest.raises(Stopped) as stopped:
        run(tmp_path, Toy(at_step={2: tell(number)}))
    assert stopped.value.step == steps_saved(tmp_path) == 3
    assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is do_nothing
    run(tmp_path)
    assert_same_run(tmp_path, whole)


@pytest.mark.usefixtures("deaf")
def test_a_second_ctrl_c_ends_the_run_at_once(tmp_path):
    def twice():
        tell(signal.SIGINT)()
        tell(signal.SIGINT)()

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Toy(at_step={3: twice}))
    assert steps_saved(tmp_path) == 2


@pytest.mark.usefixtures("deaf")
def test_a_signal_in_the_last_step_changes_nothing(tmp_path, whole):
    run(tmp_path, Toy(at_step={5: tell(signal.SIGINT)}))
    assert_same_run(tmp_path, whole)


def test_a_finished_run_takes_no_more_steps_and_more_steps_take_it_up(tmp_path, whole):
    run(tmp_path)
    run(tmp_path, Toy(at_step={step: fail() for step in range(6)}))
    assert_same_run(tmp_path, whole)
    run(tmp_path, Toy(at_step={step: fail() for step in range(6)}), steps=8)
    assert steps_saved(tmp_path) == 8


def test_fewer_steps_than_were_taken_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(MismatchError, match="6 steps were taken in .* and 5 are asked for. Take --steps 6 or more"):
        run(tmp_path, steps=5)


def test_seconds_go_on_from_where_they_were(tmp_path):
    run(tmp_path, steps=2)
    checkpoint = load_checkpoint(tmp_path / "state.safetensors", "training")
    native.save_checkpoint(tmp_path / "state.safetensors", "training", checkpoint.tensors, {}, step=2, seconds=1000.0)
    assert 1000 < run(tmp_path) < 1100
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["seconds"] > 1000


# What goes wrong


@pytest.mark.parametrize(("name", "objective"), [("fit", "pupil"), ("size", "pupil"), ("doubt", "critic")])
def test_a_loss_that_is_no_number_is_named_with_its_step_and_the_last_state_stays(tmp_path, whole, name, objective):
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, Toy(spoilt={4: name}))
    message = str(caught.value)
    assert f"'{name}' of {objective} is not a finite number at step 5" in message
    assert "--optimizer.lr" in message and f"The state of the last save is whole in {tmp_path}" in message
    assert steps_saved(tmp_path) == 4
    assert [row["step"] for row in rows(tmp_path)] == [2, 4]
    run(tmp_path)  # whatever it was is gone
    assert_same_run(tmp_path, whole)


def test_before_anything_is_saved_nothing_is_said_to_be(tmp_path):
    with pytest.raises(TrainingError, match="at step 1.*Nothing was saved yet"):
        run(tmp_path, Toy(spoilt={0: "fit"}))


def test_a_gradient_that_is_no_number_is_named_though_every_loss_is_one(tmp_path):
    toy = Toy()
    toy.objectives[0].losses = lambda batch: {
        "fit": (0 * toy.pupil.weight).sum().sqrt(),
        "size": toy.pupil.bias.square().sum(),
    }
    with pytest.raises(TrainingError, match="The gradient's length is not a finite number at step 1"):
        run(tmp_path, toy)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), RuntimeError("can't allocate memory: 8 TB")],
    ids=["card", "Python", "processor"],
)
def test_a_full_memory_says_which_setting_to_lower_and_by_what(tmp_path, error):
    def fill():
        raise error

    with pytest.raises(TrainingError) as caught:
        run(tmp_path, Toy(at_step={3: fill}))
    message = str(caught.value)
    assert "memory is full at step 4" in message
    assert "twice the --optimizer.accumulate" in message and "--optimizer.recompute-from 64" in message
    assert steps_saved(tmp_path) == 2


def test_another_error_is_a_bug_and_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="^shapes do not match$"):
        run(tmp_path, Toy(at_step={3: fail(RuntimeError, "shapes do not match")}))


@contextmanager
def files_no_larger_than(size: int):
    """As on a disk that is full: the system refuses to write beyond so many bytes in one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_last_state_and_one_sentence(tmp_path, whole, monkeypatch):
    def full(tensors, path, **_):
        path.write_bytes(b"half a")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError) as caught:
        run(tmp_path, Toy(at_step={2: lambda: monkeypatch.setattr(native, "save_file", full)}))
    assert "No space left on device" in str(caught.value) and "Make room" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert steps_saved(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "previews", "state.safetensors"}
    monkeypatch.undo()
    run(tmp_path)
    assert_same_run(tmp_path, whole)


def test_a_disk_that_fills_up_in_the_middle_of_a_save_leaves_the_last_state_and_no_litter(tmp_path):
    run(tmp_path, Toy(ballast=3_000_000), steps=2)
    with files_no_larger_than(2_000_000), pytest.raises(OutputError, match="cannot be written .*Make room"):
        run(tmp_path, Toy(ballast=3_000_000))
    assert steps_saved(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "previews", "state.safetensors"}
    run(tmp_path, Toy(ballast=3_000_000))
    assert steps_saved(tmp_path) == 6


def test_a_full_disk_is_a_sentence_where_figures_are_logged_too(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.metrics.mkdir()
    with pytest.raises(OutputError, match="metrics.jsonl cannot be written.*Make room"):
        folder.log({"step": 1})


# The folder


def test_a_half_written_line_is_survived(tmp_path, whole):
    with pytest.raises(PowerFailure):
        run(tmp_path, Toy(at_step={5: fail()}))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "pupil/fit": 0.1')
    assert [row["step"] for row in RunFolder(tmp_path).rows()] == [2, 4]
    run(tmp_path)
    assert_same_run(tmp_path, whole)


def test_a_folder_is_for_one_training_at_a_time(tmp_path):
    ours, theirs = RunFolder(tmp_path), RunFolder(tmp_path)
    with ours.locked(), pytest.raises(InputError, match="Another training is running in"), theirs.locked():
        raise AssertionError("two trainings in one folder")
    with theirs.locked():
        pass


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="run folder .* cannot be written .*--out"):
        RunFolder(tmp_path / "file" / "run").made()
    with pytest.raises(OutputError, match="run folder .* cannot be written .*--out"):
        RunFolder(tmp_path / "file" / "run").locked().__enter__()


CONFIG = {
    "steps": 6,
    "out": "here",
    "batch": 4,
    "losses": {"path": 1.0, "pixels": 2.0},
    "optimizer": {"lr": 0.1, "accumulate": 1},
    "watch": {"log_every": 20},
}


def changed(**changes) -> dict:
    inner = {name: {**CONFIG[name], **value} for name, value in changes.items() if isinstance(value, dict)}
    return {**CONFIG, **changes, **inner}


@pytest.fixture
def begun(tmp_path):
    folder = RunFolder(tmp_path)
    folder.keep_config(CONFIG)
    run(tmp_path, steps=2)
    return folder


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"batch": 8}, "batch = 4, and 8"),
        ({"losses": {"path": 0.5}}, "losses.path = 1.0, and 0.5"),
        ({"optimizer": {"lr": 0.2}}, "optimizer.lr = 0.1, and 0.2"),
        ({"stepsize": 9}, "stepsize = None, and 9"),
    ],
)
def test_a_run_does_not_go_on_under_another_setting(begun, changes, name):
    with pytest.raises(MismatchError, match=f"was started with {name} is asked for now"):
        begun.keep_config(changed(**changes))
    assert json.loads((begun.path / "config.json").read_text()) == CONFIG


def test_a_setting_that_came_or_went_is_another_setting(begun):
    with pytest.raises(MismatchError, match="losses.fog = None, and 1"):
        begun.keep_config(changed(losses={"fog": 1}))
    with pytest.raises(MismatchError, match="batch = 4, and None"):
        begun.keep_config({name: value for name, value in CONFIG.items() if name != "batch"})


@pytest.mark.parametrize(
    "changes", [{"steps": 9}, {"watch": {"log_every": 1}}, {"out": "there"}, {"optimizer": {"accumulate": 2}}]
)
def test_more_steps_and_what_a_person_sees_may_change(begun, changes):
    begun.keep_config(changed(**changes))
    assert json.loads((begun.path / "config.json").read_text()) == changed(**changes)


def test_before_the_first_save_every_setting_may_change(tmp_path):
    folder = RunFolder(tmp_path)
    folder.keep_config(CONFIG)
    folder.keep_config(changed(batch=8))
    assert json.loads((tmp_path / "config.json").read_text())["batch"] == 8


def test_a_state_of_another_training_is_refused(tmp_path):
    run(tmp_path, Toy(ballast=400))
    with pytest.raises(MismatchError, match="does not fit this training .*ballast.* Choose another --out"):
        run(tmp_path, Toy(ballast=800), steps=9)


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:-9] + b"\0" * 9]
)
def test_a_damaged_state_is_refused_in_a_sentence(tmp_path, damage):
    run(tmp_path, steps=2)
    path = tmp_path / "state.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LgaError, match="state.safetensors"):
        run(tmp_path)


def test_a_damaged_config_is_refused_in_a_sentence(begun):
    (begun.path / "config.json").write_text("{")
    with pytest.raises(LgaError, match="config.json"):
        begun.keep_config(CONFIG)


def test_a_run_folder_is_opened_by_several_processes_at_once(tmp_path):
    """All of a training's processes open it within the same moment."""
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(RunFolder, [tmp_path / "run"] * 400))
        assert not (tmp_path / "run").exists()
        list(pool.map(RunFolder.made, folders))
    assert all(folder.previews.is_dir() for folder in folders)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["previews"]

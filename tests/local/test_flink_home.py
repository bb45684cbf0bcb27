import pytest

from tillstream.conf import ConfError
from tillstream.local import flink_home
from tillstream.local.layout import Layout, StackError
from tillstream.local.ports import DEFAULTS


def settings(tmp_path, backend="hashmap"):
    return flink_home.render(Layout(tmp_path), DEFAULTS, backend)


def total_mib(rendered):
    parts = (
        "framework.heap.size",
        "task.heap.size",
        "framework.off-heap.size",
        "task.off-heap.size",
        "network.max",
        "managed.size",
        "jvm-metaspace.size",
        "jvm-overhead.max",
    )
    return sum(flink_home.megabytes(rendered[f"taskmanager.memory.{part}"]) for part in parts)


@pytest.mark.parametrize("backend", flink_home.STATE_BACKENDS)
def test_a_taskmanager_takes_less_than_two_gigabytes(tmp_path, backend):
    rendered = settings(tmp_path, backend)
    assert total_mib(rendered) <= 1920
    assert rendered["state.backend.type"] == backend


def test_what_thread_mode_needs_is_set(tmp_path):
    rendered = settings(tmp_path)
    assert rendered["python.execution-mode"] == "thread"
    assert rendered["taskmanager.numberOfTaskSlots"] == 1
    assert rendered["classloader.parent-first-patterns.additional"] == "pemja."
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in rendered["env.java.opts.all"]


def test_checkpoints_outlive_the_job_and_lie_in_the_stacks_folder(tmp_path):
    rendered = settings(tmp_path)
    kept = rendered["execution.checkpointing.externalized-checkpoint-retention"]
    assert kept == "RETAIN_ON_CANCELLATION"
    assert rendered["execution.checkpointing.dir"] == f"file://{tmp_path}/stack/data/checkpoints"


def test_history_files_are_closed_twice_a_minute_not_every_few_seconds(tmp_path):
    """Each checkpoint leaves one per date, region and subtask of each history."""
    assert settings(tmp_path)["execution.checkpointing.interval"] == "30 s"


def test_ports_are_the_stacks_own(tmp_path):
    rendered = flink_home.render(
        Layout(tmp_path), {**DEFAULTS, "s3": 1, "flink-rest": 2}, "hashmap"
    )
    assert rendered["s3.endpoint"] == "http://127.0.0.1:1"
    assert rendered["rest.port"] == 2


def test_engine_settings_of_the_environment_go_over_all_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_FLINK", '{"taskmanager.memory.task.heap.size": "1536m"}')
    assert settings(tmp_path)["taskmanager.memory.task.heap.size"] == "1536m"
    for wrong in ("1536m", "[]"):
        monkeypatch.setenv("TILLSTREAM_FLINK", wrong)
        with pytest.raises(ConfError, match="TILLSTREAM_FLINK"):
            settings(tmp_path)


def test_a_wrong_memory_size_is_named():
    assert flink_home.megabytes("2g") == 2048
    with pytest.raises(StackError, match="lots"):
        flink_home.megabytes("lots")


def test_a_new_jobmanager_finds_in_zookeeper_what_the_last_one_ran(tmp_path):
    rendered = flink_home.render(Layout(tmp_path), {**DEFAULTS, "zookeeper": 7}, "hashmap")
    assert rendered["high-availability.type"] == "zookeeper"
    assert rendered["high-availability.zookeeper.quorum"] == "127.0.0.1:7"
    assert rendered["high-availability.storageDir"] == f"file://{tmp_path}/stack/data/leader"
    assert rendered["high-availability.jobmanager.port"] == DEFAULTS["flink-rpc"]

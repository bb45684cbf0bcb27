import pytest

from tillstream.local import doctor
from tillstream.local.layout import StackError
from tillstream.local.stack import Stack


def no_java() -> str:
    raise StackError("Java is missing")


@pytest.mark.parametrize(
    "finding",
    [
        doctor.python((3, 13)),
        doctor.java_version(no_java),
        doctor.java_version(lambda: 'openjdk version "21.0.1"'),
        doctor.java_version(lambda: 'java version "1.8.0_292"'),
        doctor.java_home("/nowhere"),
        doctor.maven(["mvn"]),
        doctor.memory(100, running=False),
    ],
)
def test_every_failure_names_its_fix(finding):
    assert not finding.ok
    assert finding.fix


@pytest.mark.parametrize("version", ["11.0.2", "17.0.15"])
def test_java_11_and_17_will_do(version):
    assert doctor.java_version(lambda: f'openjdk version "{version}"').ok


def test_a_stale_stack_file_is_found(tmp_path):
    stack = Stack(tmp_path)
    here = {"endpoint": "", "bootstrap": "", "rest": ""}
    record = dict.fromkeys(("kafka", "kinesis", "dynamodb", "s3", "flink", "ports"), here)
    stack.layout.write(record | {"processes": {"kafka": {"pid": 1, "port": 1, "log": ""}}})
    [finding] = doctor.stack_record(stack)
    assert not finding.ok
    assert "stale" in finding.what
    assert finding.fix == "tillstream up"


def test_taken_ports_are_told_but_no_failure():
    [finding] = doctor.taken_ports(lambda port: port != 8081)
    assert finding.ok
    assert "flink-rest 8081" in finding.what


def test_thread_mode_can_load_here():
    assert doctor.thread_mode().ok

"""Where a record's time goes in a running job: threads, Python stacks, Java stacks, as text.

``python benchmarks/profile_job.py JOB`` starts a stack with one TaskManager, fills a topic, runs the job as
benchmarks do (its outputs dropped in the JVM), and once it is warm looks at it for --seconds. A fast job
wants a larger --count, to last until the end:

- CPU by part and by thread, as benchmarks/cpu.py tells them;
- Python stacks of the operators' threads, by py-spy (extra ``dev``), or, where it is not installed or may
  not look into the process, by a thread beside them (benchmarks/jobs/stacks.py);
- Java stacks by Flight Recorder, part of every JDK: by thread and by method, those in native code apart.

Text goes to standard output and to --out FILE; the raw recordings to --keep FOLDER. Two minutes.
``--python-only`` needs no stack: the job's functions without an engine (benchmarks/in_python.py).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import in_python, output
from benchmarks.cpu import Meter, Used
from benchmarks.fraud_speed import of_job
from benchmarks.jobs.stacks import Sampler
from benchmarks.rig import STAGE, Rig, mid_run, names, rig, side
from tillstream import conf as settings
from tillstream.clients.java import java

RATE = 100  # py-spy's samples a second
MOST = 25  # lines of each list
COMPILING = 0.05  # share of the TaskManager's CPU below which it is warm
TOPIC = "profiled"
OURS = "io.tillstream.flink"


def tool(name: str) -> str:
    """jcmd and jfr stand beside java."""
    beside = Path(shutil.which(java()) or java()).resolve().parent / name
    return str(beside) if beside.exists() else name


def recorder(pid: int, do: str, name: str, *options: str) -> tuple[int, str]:
    """Flight Recorder: ``start``, ``dump`` or ``stop``; its exit code and what it said."""
    return output.run([tool("jcmd"), str(pid), f"JFR.{do}", f"name={name}", *options])


def look(bench: Rig, job: str, args: argparse.Namespace, folder: Path) -> str:
    """The profile as text."""
    traffic = of_job(job, args.count, max(args.count // 6, 1), 1)
    put = bench.fill_sent(TOPIC, traffic, (side(job),))
    total, each = put.read_by(job)
    spy = shutil.which("py-spy", path=str(Path(sys.prefix) / "bin")) or shutil.which("py-spy")
    clocks = bench.clocks()
    sample = args.python == "sampler" or not spy
    job_id = bench.submit(job, 1, names(TOPIC), clocks=clocks, sample=sample)
    meter = bench.meter(clocks)
    pid = bench.processes("taskmanager")[0].pid
    try:
        recording = folder / f"{job}.jfr"
        # The first recording changes classes, which are then compiled anew: one that is thrown away.
        recorder(pid, "start", "warm", "settings=profile")
        compiled(bench, job_id, STAGE[job], int(total * 0.5), meter)
        begun, said = recorder(pid, "start", "bench", "settings=profile")
        recorder(pid, "stop", "warm")
        start = moment(bench, job_id, STAGE[job], meter)
        problem = ""
        if sample:
            time.sleep(args.seconds)
        else:
            problem = spied(str(spy), str(pid), folder / f"{job}.stacks", args.seconds)
        end = moment(bench, job_id, STAGE[job], meter)
        if not begun:
            recorder(pid, "dump", "bench", f"filename={recording}")
            recorder(pid, "stop", "bench")
    finally:
        bench.jobs.flink.cancel(job_id)
    found = mid_run([start, end], each)
    if sample:
        time.sleep(1)
        stacks = "\n".join(file.read_text() for file in clocks.glob("*.stacks"))
        (folder / f"{job}.stacks").write_text(stacks)
    text = [threads(job, found), *python_part(folder / f"{job}.stacks", sample, problem)]
    text += java_part(recording) if not begun else [f"Java: no recording: {said.strip()}"]
    return "\n\n".join(text) + "\n"


def moment(bench: Rig, job_id: str, stage: str, meter: Meter) -> tuple[float, int, Used]:
    done = bench.done(job_id, stage)
    return time.perf_counter(), done, meter.read()


def compiled(bench: Rig, job_id: str, stage: str, latest: int, meter: Meter) -> None:
    """Waits until the JVM spends little on compiling, or the stage has read ``latest`` records."""
    bench.wait_read(job_id, stage, 1, limit_s=180)
    share, done = 1.0, 0
    while share > COMPILING and done < latest:
        before = meter.read()
        time.sleep(5)
        used = meter.read() - before
        share = used.threads["JIT compiler"] / used.total if used.total else 1.0
        done = bench.done(job_id, stage)
    output.say(f"{done:,} records read; the JVM spends {share:.0%} of its CPU on compiling")


def without_engine(job: str, seconds: float, file: Path) -> str:
    """The profile of the functions alone, as text."""
    traffic, conf = in_python.Traffic(8_000), settings.load("local")
    sampler = Sampler(threading.get_ident(), file)
    until, spent = time.monotonic() + seconds, []
    with in_python.no_collections():
        while time.monotonic() < until:
            spent.append(in_python.cost_us(in_python.JOBS[job](traffic, conf), traffic))
    file.write_text("\n".join(f"{stack} {n}" for stack, n in sampler.found.items()))
    head = f"{job} without an engine, {where()}: {min(spent):.1f} us of CPU a transaction, "
    head += f"best of {len(spent)} rounds"
    return "\n\n".join([head, *python_part(file, True, "")]) + "\n"


def where() -> str:
    made = output.about()
    return f"{made['date']}, {made['machine']}, {made['cpu']}"


def spied(spy: str, pid: str, file: Path, seconds: float) -> str:
    """ "" or why py-spy gave nothing."""
    # nonblocking: else it stops the whole process, the JVM's threads too, while it reads a stack; what
    # changed while it was read is lost or wrong at its top
    command = [spy, "record", "--nonblocking", "-p", pid, "-d", str(int(seconds)), "-r", str(RATE),
               "-f", "raw", "-o", str(file)]  # fmt: skip
    code, said = output.run(command, seconds + 60)
    return "" if code == 0 and file.exists() else said.strip()[-300:] or "nothing"


def threads(job: str, found: dict[str, Any]) -> str:
    head = (
        f"{job}, {where()}, revision {output.revision()}\n"
        f"{found['rate']:,.0f} tx/s, {found['per_cpu_second']:,.0f} a CPU second, over "
        f"{found['seconds']:.0f} s; recording slows it\n\nus of CPU a transaction, by part:\n"
    )
    parts = [f"{us:8.2f}  {name}" for name, us in found["cpu_us"].items()]
    named = [f"{us:8.2f}  {name}" for name, us in found["threads_us"].items() if us >= 0.05]
    return head + "\n".join(parts) + "\n\nby thread of the TaskManager:\n" + "\n".join(named)


def python_part(file: Path, sampled: bool, problem: str) -> list[str]:
    how = "a thread beside it" if sampled else "py-spy"
    if not file.exists() or not file.read_text().strip():
        return [f"Python: no stacks by {how}: {problem or 'nothing seen'}; try --python sampler"]
    own, whole = python_shares(file.read_text().splitlines())
    return [
        f"Python, by {how}: % of samples in a function itself\n" + ranked(own),
        "Python: % of samples in a function and what it calls\n" + ranked(whole, own.total()),
    ]


def python_shares(lines: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Samples by function, alone and with callees, of ``caller;callee count`` lines. Samples that
    are in none of our code or its libraries (idle threads of the engine's Python) do not count."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = [function(frame) for frame in stack.split(";")]
        if not any("process_element" in frame for frame in frames):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    return own, whole


def function(frame: str) -> str:
    """``module.name`` of py-spy's ``name (path/module.py:12)`` and of the sampler's ``module.name:12``."""
    name, inside, where = frame.partition(" (")
    if not inside:
        return frame.rpartition(":")[0] or frame
    module = where.rpartition(":")[0].rpartition("/")[2].removesuffix(".py")
    return f"{module}.{name}"


def java_part(recording: Path) -> list[str]:
    command = [tool("jfr"), "print", "--stack-depth", "24", "--events", "jdk.ExecutionSample"]
    code, said = output.run([*command, str(recording)])
    if code:
        return [f"Java: {said.strip()[-300:]}"]
    by_thread, own, ours = java_shares(said.splitlines())
    return [
        "Java: % of samples that run Java (not Python, not native code), by thread\n"
        + ranked(by_thread),
        "Java: % of samples in a method itself\n" + ranked(own),
        "Java: % of samples under a method of ours\n" + ranked(ours, own.total()),
    ]


def java_shares(lines: Iterable[str]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Samples by thread, by topmost method, and by each method of io.tillstream on the stack, of what
    ``jfr print`` says."""
    by_thread: Counter[str] = Counter()
    own: Counter[str] = Counter()
    ours: Counter[str] = Counter()
    thread, stack = "?", None
    for line in map(str.strip, lines):
        if line.startswith("sampledThread = "):
            name = line.split('"')[1] if '"' in line else "?"
            thread = name.rpartition(" (")[0] or name
        elif line.startswith("stackTrace = ["):
            stack = []
        elif stack is not None and line == "]":
            if stack:
                by_thread[thread] += 1
                own[stack[0]] += 1
                ours.update({method for method in stack if method.startswith(OURS)})
            stack = None
        elif stack is not None and "(" in line:
            stack.append(line.partition("(")[0])
    return by_thread, own, ours


def ranked(found: Counter[str], total: int | None = None) -> str:
    whole = total or found.total()
    lines = [f"{count / whole:6.1%}  {name}" for name, count in found.most_common(MOST) if whole]
    return "\n".join(lines) or "  none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=list(STAGE))
    parser.add_argument("--seconds", type=float, default=15, help="how long it is looked at")
    parser.add_argument("--count", type=int, default=900_000, help="transactions in the topic")
    parser.add_argument("--python", choices=["py-spy", "sampler"], default="py-spy")
    parser.add_argument(
        "--disk", type=Path, default=output.memory(), help="where the stack's data lies"
    )
    parser.add_argument("--keep", type=Path, help="folder for the raw recordings")
    parser.add_argument("--out", type=Path, help="write the text here too")
    parser.add_argument("--python-only", action="store_true", help="without a stack")
    args = parser.parse_args()
    if args.python_only:
        with tempfile.TemporaryDirectory() as place:
            text = without_engine(args.job, args.seconds, Path(place) / "stacks")
    else:
        with rig(args.disk, taskmanagers=1) as bench:
            folder = args.keep or bench.stack.layout.data / "profile"
            folder.mkdir(parents=True, exist_ok=True)
            text = look(bench, args.job, args, folder.resolve())
    print(text)
    if args.out:
        args.out.write_text(text)
        output.say(f"written to {args.out}")


if __name__ == "__main__":
    main()

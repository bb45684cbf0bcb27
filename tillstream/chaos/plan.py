"""What a seed means: the jobs, traffic and faults of one run, as a value. It knows no clock and no stack."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from tillstream.catalog import DOOR
from tillstream.sim.simulator import tag

JUDGED = ("loyalty", "inventory")  # the check proves these; one of them is in every run
OTHERS = ("archive", "fraud", "sales", "shortage")
PROFILES = ("normal", "black-friday", "quiet-night", "payday")
FIRST_S, LAST_S = 8, 10  # no fault so soon after the start, nor so shortly before the end
CONTRACTS = ("v1", "v2", "mixed")  # of what the tills send
GAP_S = (5, 20)  # between the beginnings of two faults

CLUSTER = (
    "jobmanager",
    "zookeeper",
)  # and every TaskManager; the stack's supervisor starts them again
STAND_INS = ("kafka", "dynamodb", "s3")
NETWORK = ("kafka", "dynamodb", "s3", "kinesis")
# kind -> how often it is drawn, and the least and the most seconds it lasts
KINDS: dict[str, tuple[int, int, int]] = {
    "kill": (6, 2, 12),
    "freeze": (4, 3, 20),
    "cut": (2, 2, 15),
    "stall": (2, 3, 20),
    "slow": (2, 5, 20),
    "errors": (2, 5, 20),
    "throttle": (2, 5, 20),
    "clock": (1, 5, 20),
    "disk": (1, 3, 15),
    "split": (2, 0, 0),
    "merge": (1, 0, 0),
    "savepoint": (1, 0, 0),
    "restore": (2, 0, 0),
    "rescale": (2, 0, 0),
    "rules": (2, 0, 0),
}
RELEASED = 1 / 3  # of the runs have a release
ANSWERED = ("errors", "throttle")  # by services that speak HTTP only


class Fault(NamedTuple):
    """``at_s``: after the traffic's start. ``target``: a process, a job, or "". ``seconds``: until it is over
    (a stand-in is started again, a frozen process goes on). ``amount``: of a clock's step in s, of a
    rescaled job's parallelism."""

    at_s: int
    kind: str
    target: str = ""
    seconds: int = 0
    amount: int = 0

    def __str__(self) -> str:
        amount = f" by {self.amount:+d} s" if self.kind == "clock" else ""
        amount = f" to {self.amount}" if self.kind == "rescale" else amount
        lasts = f" for {self.seconds} s" if self.seconds else ""
        return f"{self.kind} {self.target}{amount}{lasts}".replace("  ", " ")


class Phase(NamedTuple):
    """Traffic of one kind, one phase after the other. ``seed``: the simulator's."""

    profile: str
    rate: int
    seconds: int
    seed: int
    duplicates: float
    malformed: float
    late: float
    out_of_order: float
    fuzzed: float

    def __str__(self) -> str:
        shares = {n: s for n, s in self._asdict().items() if isinstance(s, float) and s}
        said = ", ".join(f"{share:.1%} {name.replace('_', ' ')}" for name, share in shares.items())
        return f"{self.profile}, {self.rate}/s for {self.seconds} s; {said}"


class Where(NamedTuple):
    """What a run may use. ``own``: a stack of its own, whose S3, Kafka and clock can be reached too."""

    taskmanagers: int = 4
    own: bool = True


class Plan(NamedTuple):
    seed: int
    seconds: int
    source: str
    jobs: tuple[str, ...]
    taskmanagers: int
    backend: str
    contract: str
    phases: tuple[Phase, ...]
    faults: tuple[Fault, ...]

    @property
    def keeps_order(self) -> bool:
        """Whether each customer's records are read in the order in which they were sent."""
        return not any(fault.kind in ("split", "merge") for fault in self.faults)

    def lines(self) -> Iterator[str]:
        jobs = ", ".join(self.jobs)
        stack = f"{self.taskmanagers} TaskManagers, {self.backend}"
        yield f"seed {self.seed}: {jobs} from {self.source}, {stack}, tills {self.contract}"
        for phase in self.phases:
            yield f"  traffic  {phase}"
        for fault in self.faults:
            yield f"  {fault.at_s:5d} s  {fault}"


def draw(seed: int, seconds: int, where: Where) -> Plan:
    """The same for the same arguments."""
    rng = Random(f"chaos {seed}")
    source = rng.choice(("kafka", "kafka", "kinesis"))
    behind = where._replace(taskmanagers=where.taskmanagers - 1)
    jobs = _jobs(rng, behind.taskmanagers)
    backend = rng.choice(("hashmap", "hashmap", "rocksdb"))
    phases = tuple(_phases(rng, seed, seconds))
    faults = tuple(
        sorted(
            [
                *_faults(rng, seconds, source, jobs, behind),
                *_releases(seed, seconds, where),
                *_at_the_door(seed, seconds, where),
            ]
        )
    )
    contract = Random(f"contract {seed}").choice(
        CONTRACTS
    )  # dice of its own: the rest of a seed's plan stays
    return Plan(
        seed, seconds, source, (DOOR, *jobs), where.taskmanagers, backend, contract, phases, faults
    )


def _jobs(rng: Random, slots: int) -> tuple[str, ...]:
    """Two or three behind the door, each on one slot at first; what is left over is for rescaling."""
    chosen = [rng.choice(JUDGED)]
    others = [job for job in (*JUDGED, *OTHERS) if job not in chosen]
    most = min(slots, 3)
    return tuple(sorted(chosen + rng.sample(others, rng.choice((most - 1, 1)) if most > 1 else 0)))


def _phases(rng: Random, seed: int, seconds: int) -> Iterator[Phase]:
    count = 1 if seconds < 90 else rng.choice((1, 2, 3))
    tags: set[str] = set()
    for number in range(count):
        traffic = 10 * seed + number
        while tag(traffic) in tags:
            traffic += count
        tags.add(tag(traffic))
        long = seconds // count if number < count - 1 else seconds - seconds // count * (count - 1)
        shares = (rng.choice((0.0, 0.01, 0.03)) for _ in range(5))
        # Of another profile and other customers: ids of phases do not meet.
        yield Phase(rng.choice(PROFILES), rng.randrange(40, 110, 10), long, traffic, *shares)


def _faults(
    rng: Random, seconds: int, source: str, jobs: tuple[str, ...], where: Where
) -> Iterator[Fault]:
    spare = where.taskmanagers - len(jobs)
    wide: str = ""  # the job that holds the spare slots
    at_s = FIRST_S
    while at_s <= seconds - LAST_S:
        kinds = [kind for kind in KINDS if _targets(kind, source, jobs, where)]
        (kind,) = rng.choices(kinds, [KINDS[kind][0] for kind in kinds])
        target = rng.choice(_targets(kind, source, jobs, where))
        least, most = KINDS[kind][1:]
        lasts = min(rng.randint(least, most), seconds - at_s)
        amount = 0
        if kind == "clock":
            amount = rng.choice((-90, -20, -3, 3, 20, 90))
        if kind == "kill" and target not in STAND_INS:
            lasts = 0
        if kind == "rescale":
            if not spare:
                kind = "restore"
            elif wide:
                target, amount, wide = wide, 1, ""
            else:
                wide, amount = target, 1 + spare
        yield Fault(at_s, kind, target, lasts, amount)
        at_s += rng.randint(*GAP_S)


def _releases(seed: int, seconds: int, where: Where) -> Iterator[Fault]:
    """All jobs are stopped for it, so a run has one at most. It has dice of its own."""
    rng = Random(f"release {seed}")
    if where.own and rng.random() < RELEASED:
        yield Fault(rng.randint(FIRST_S, seconds - LAST_S), "release")


def _at_the_door(seed: int, seconds: int, where: Where) -> Iterator[Fault]:
    """What happens to the front door and the slot it brings, by dice of their own."""
    rng = Random(f"door {seed}")
    last = f"taskmanager-{where.taskmanagers}"
    for _ in range(rng.choice((1, 1, 2))):
        at_s = rng.randint(FIRST_S, seconds - LAST_S)
        kind, target, lasts = rng.choice(
            (
                ("kill", last, 0),
                ("freeze", last, min(rng.randint(3, 20), seconds - at_s)),
                ("savepoint", DOOR, 0),
                ("restore", DOOR, 0),
            )
        )
        yield Fault(at_s, kind, target, lasts)


def _targets(kind: str, source: str, jobs: tuple[str, ...], where: Where) -> list[str]:
    """What that kind of fault can happen to in this run."""
    taskmanagers = [f"taskmanager-{n}" for n in range(1, where.taskmanagers + 1)]
    processes = [*CLUSTER, *taskmanagers, *taskmanagers, *STAND_INS]
    if kind == "kill":
        return processes  # not Kinesis: its stand-in keeps its records in memory alone
    if kind == "freeze":
        return [*processes, *(["kinesis"] if source == "kinesis" else [])]
    if kind in ("cut", "stall", "slow", *ANSWERED):
        # The cluster's S3 and the broker's own address are said when a stack starts.
        found = set(NETWORK) - (set() if where.own else {"kafka", "s3"})
        found -= set() if source == "kinesis" else {"kinesis"}
        found -= {"kafka"} if kind in ANSWERED else set()
        return sorted(found)
    if kind in ("clock", "disk"):
        return ["stack"] if where.own else []
    if kind in ("split", "merge"):
        return ["kinesis"] if source == "kinesis" else []
    if kind == "rules":
        return [job for job in jobs if job == "fraud"]
    return list(jobs)

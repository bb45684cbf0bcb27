"""The fraud job's judge: facts and profile in, a decision and what follows from it out."""

from __future__ import annotations

import time

import msgspec
from pyflink.datastream import RuntimeContext

from tillstream.catalog import topics
from tillstream.conf import Conf
from tillstream.domain.arrival import refuse_ahead
from tillstream.domain.envelope import Envelope, unseal
from tillstream.domain.fraud import actions
from tillstream.domain.fraud.asking import (
    MINUTE_MS,
    Asking,
    Reply,
    answered,
    deny,
    heard,
    overdue,
    parse_reply,
    question,
    reply_of,
    wait,
)
from tillstream.domain.fraud.control import Answer, InForce, Refused, apply_order
from tillstream.domain.fraud.counters import DAY_MS, id_hash
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.judge import apply_label, cases_of, closes_case, ended, judge_both
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.profile import Profile, of_no_sale, verdict_of
from tillstream.domain.fraud.ruleset import load_rules
from tillstream.domain.rates import Rates
from tillstream.reference import clocks, rates
from tillstream.state_schemas.keyed import fraud_profile
from tillstream.udfs.batched import BatchedStage, Outputs
from tillstream.udfs.engine import subtask_of
from tillstream.udfs.fraud.counters import CountAtTill, CountByCard
from tillstream.udfs.passing.fraud import Passing, read_at_judge
from tillstream.udfs.stage import DEAD_LETTERS, StageSettings

_json = msgspec.json.Encoder().encode


class KeptRulesUnusable(RuntimeError):
    """A savepoint's rule set is not one for this release."""


class JudgeSales(BatchedStage):
    """Keyed by subject. In: `Passing` transactions, labels and customers' replies; beside them orders about
    rules. Out: decisions to keep; to the sides: what follows from them. All JSON bytes."""

    title = "judge by subject"
    codec = fraud_profile.CODEC
    sides = ("explanations", "cases", "holds", "notices", "rule-answers", "labels", DEAD_LETTERS)

    def __init__(
        self,
        settings: StageSettings,
        rules: bytes,
        places: Places,
        rates: Rates,
        asking: Asking,
        audit_passes: bool,
        explain_passes: bool,
        keep_days: int,
    ) -> None:
        """``rules``: JSON of the set in force until another is pushed; ``places``: all stores;
        ``rates``: of currencies;
        ``asking``: how customers are asked."""
        super().__init__(settings)
        self.first_rules = rules
        self.places, self.rates, self.asking = places, rates, asking
        self.audit_passes = audit_passes
        self.explain_passes = explain_passes
        self.keep_days = keep_days

    @property
    def whole(self) -> bool:
        """Whether passes are reported with all that explains them."""
        return self.audit_passes or self.explain_passes

    def start(self, runtime_context: RuntimeContext) -> None:
        self.now = InForce(load_rules(self.first_rules, self.places, self.rates), None)
        self.subtask, self.subtasks = subtask_of(runtime_context)
        self.heard_ms = 0  # newest arrival of a sale

    # -- transactions and labels -------------------------------------------------------------------

    def record(self, state: Profile | None, value: bytes, out: Outputs) -> Profile | None:
        record = read_at_judge(value)
        if isinstance(record, Label):
            return self._verdict(state, record, out)
        if isinstance(record, Envelope):
            return self._reply(state, record, out)
        self.heard_ms = max(self.heard_ms, record.sale.arrived_ms)
        live, shadow = self.now
        sale, facts = record.sale, record.facts
        if sale.undoes:
            for undone in actions.undone_by(sale, cases_of(state, sale.undoes)):
                out.emit(_json(undone), "cases")
        judged = judge_both(state, sale, facts, live, shadow, sale.arrived_ms, self.whole)
        decision, second = judged.decision, judged.shadow
        if decision is not None:
            if decision.outcome != "pass":
                self._act(decision, judged.profile, out)
            told = second is not None and second.outcome != "pass"
            if decision.outcome != "pass" or told or self.audit_passes or self.explain_passes:
                self._keep(record, decision, second, out)
        if judged.profile is not None and judged.profile.waiting:
            for reply, at_ms in heard(judged.profile, sale.transaction_id, sale.customer_id or ""):
                self._hear(judged.profile, reply, at_ms, out)
        return judged.profile

    def _act(self, decision: actions.Decision, profile: Profile | None, out: Outputs) -> None:
        hours, asked = self.now.live.data.watch.hours, None
        out.emit(_json(actions.case_of(decision, hours, self.keep_days)), "cases")
        if verdict_of(profile, id_hash(decision.transaction_id)):
            return  # read again, after somebody has decided: who was told then is not told again
        if decision.outcome == "hold":
            out.emit(_json(actions.hold_of(decision)), "holds")
            asked = question(decision, profile, self.places, self.asking)
        for notice in actions.notices_of(decision, asked):
            out.emit(_json(notice), "notices")

    def _keep(
        self,
        record: Passing,
        decision: actions.Decision,
        second: actions.Decision | None,
        out: Outputs,
    ) -> None:
        came_in = record.raw
        arrived_ms, days = record.sale.arrived_ms, self.keep_days
        kept = actions.recorded(decision, "live", came_in, second, arrived_ms, days)
        encoded = _json(kept)
        suspicious = decision.outcome != "pass"
        if suspicious or self.audit_passes:
            out.emit(encoded)
        if suspicious or self.explain_passes:
            hot = actions.explanation_of(kept)
            out.emit(encoded if hot is kept else _json(hot), "explanations")
        if second is not None and (second.outcome != "pass" or suspicious or self.audit_passes):
            out.emit(_json(actions.recorded(second, "shadow", came_in, None, arrived_ms, days)))

    def _verdict(self, state: Profile | None, verdict: Label, out: Outputs) -> Profile | None:
        order = None
        if ended(state, verdict) is not None or verdict.source == "hold":
            order = actions.ended_by(verdict, self.now.live.version)
            out.emit(_json(order), "holds")
        if closes_case(state, verdict):
            out.emit(_json(actions.closed_by(verdict, order)), "cases")
        return apply_label(state, verdict, self.now.live)

    def _reply(self, state: Profile | None, envelope: Envelope, out: Outputs) -> Profile | None:
        """A verdict goes by the topic of labels, as a person's does, so till and card hear of it too."""
        reply, at_ms = parse_reply(envelope.raw), envelope.arrived_ms
        refuse_ahead(reply.answered_ms, "$.answered_ms", envelope, self.settings.clock_ahead_ms)
        return self._hear(state, reply, at_ms, out)

    def _hear(
        self, state: Profile | None, reply: Reply, at_ms: int, out: Outputs
    ) -> Profile | None:
        label, why = answered(state, reply, at_ms, self.asking, self.rates)
        if why == "waits":
            state = state or of_no_sale(self.now.live.data.profile, at_ms)
            until_ms = out.now_ms + self.asking.minutes * MINUTE_MS
            for one in wait(state, reply, at_ms, until_ms):
                self._not_held(reply_of(one, reply.customer_id), one.arrived_ms, out)
            out.wake(until_ms)
            return state
        if label is not None:
            out.emit(_json(label), "labels")
        if why and (label is None or label.fraud):
            out.emit(_json(actions.told_of(reply, why, at_ms)), "notices")
        if why not in ("", "not_held"):
            said = actions.Said(reply.transaction_id, reply.answer, at_ms)
            out.emit(_json(said), "cases")
        if state is None or why != "denied":
            return None
        deny(state, reply)
        return state

    def due(self, state: Profile | None, key: str, at_ms: int, out: Outputs) -> Profile | None:
        """Answers whose sale has not come in time."""
        if state is None or not state.waiting:
            return None
        again_ms = out.now_ms + max(self.asking.minutes, 1) * MINUTE_MS
        gone, again_at_ms = overdue(state, at_ms, self.heard_ms, again_ms)
        for one in gone:
            self._not_held(reply_of(one, key), one.arrived_ms, out)
        if again_at_ms is not None:
            out.wake(again_at_ms)
        return state

    def _not_held(self, reply: Reply, at_ms: int, out: Outputs) -> None:
        out.emit(_json(actions.told_of(reply, "not_held", at_ms)), "notices")

    def sent(self, value: bytes) -> Envelope:
        came = read_at_judge(value)
        if isinstance(came, Envelope):
            return came
        if isinstance(came, Label):
            return self.part(_json(came), typed=True)
        return self.part(came.raw, came.sale.arrived_ms, typed=True)

    # -- rules -------------------------------------------------------------------------------------

    def control(self, value: bytes, restored: bool, out: Outputs) -> None:
        envelope = unseal(value)
        try:
            order, after = apply_order(envelope.raw, self.now, self.places)
        except Refused as refused:
            if restored:  # to go on silently with other rules would be worse than to stop
                raise KeptRulesUnusable(
                    f"the rules in this savepoint ({refused.version}) do not fit this release: "
                    f"{refused}. Restore with the release that wrote it, push rules that both know"
                ) from None
            self._answer(envelope.origin, refused.mode, refused.version, str(refused), out)
            if self.subtask == 0:
                self.refuse(envelope, "validate", "bad_order", str(refused), out)
            return
        if not restored:
            if order.mode == "shadow-off":
                out.keep("shadow", None)
            else:
                out.keep(order.mode, value)
            self._answer(envelope.origin, order.mode, order.version, "", out)
        self.now = after

    def _answer(self, origin: str, mode: str, version: str, problem: str, out: Outputs) -> None:
        at_ms = time.time_ns() // 1_000_000
        answer = Answer(
            origin, mode, version, not problem, problem, self.subtask, self.subtasks, at_ms
        )
        out.emit(_json(answer), "rule-answers")


def at_till(conf: Conf) -> CountAtTill:
    """The first stage as conf has it."""
    fraud = conf.fraud
    labels = conf.topic(topics.FRAUD_LABELS)
    settings, refunds_after_ms = StageSettings.of("fraud", conf), fraud.card_ttl_days * DAY_MS
    return CountAtTill(settings, labels, fraud.label_delay_days, rates(conf), refunds_after_ms)


def by_card(conf: Conf) -> CountByCard:
    """The second stage as conf has it."""
    fraud, settings = conf.fraud, StageSettings.of("fraud", conf)
    return CountByCard(settings, fraud.label_delay_days, clocks(conf), fraud.currency)


def judge(conf: Conf, starting: bytes, asking: Asking) -> JudgeSales:
    """The third stage as conf has it, ``starting`` in force until other rules are pushed."""
    fraud, settings = conf.fraud, StageSettings.of("fraud", conf)
    audit_all, explain_all = fraud.audit == "all", fraud.explain == "all"
    return JudgeSales(
        settings,
        starting,
        clocks(conf),
        rates(conf),
        asking,
        audit_all,
        explain_all,
        fraud.keep_days,
    )

"""What becomes of one notice: known, too old, sent, or left for a person. Knows nothing of Kafka."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from tillstream.cli.times import now_ms
from tillstream.conf import Conf, ConfError
from tillstream.domain.notice import KINDS, Notice
from tillstream.errors import Problem
from tillstream.notify.log import SentLog
from tillstream.notify.pace import Pace
from tillstream.notify.senders import NotSent, Sender, Stuck

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 15.0
HOUR_MS = 3_600_000


class Unavailable(Problem):
    """The sender does not take notices now; nothing was lost, a later run goes on from here."""


class Stopped(RuntimeError):
    """Told to stop before this notice was sent; a later run sends it."""


class Notifier:
    """``handle`` may be called from many threads; it returns what became of the notice."""

    def __init__(
        self,
        conf: Conf,
        log: SentLog,
        sender: Sender,
        stop: threading.Event | None = None,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        settings = conf.notify
        if settings.max_age_hours >= settings.remember_days * 24:
            raise ConfError("notify.remember_days must be longer than notify.max_age_hours")
        self._log, self._sender, self._now_ms = log, sender, now_ms
        self._stop = stop or threading.Event()
        self._attempts = settings.attempts
        self._max_age_ms = settings.max_age_hours * HOUR_MS
        self._pace = {kind: Pace(settings.per_second.get(kind, 20)) for kind in KINDS}

    def handle(self, notice: Notice) -> str:
        """``known``, ``expired`` (too old, or of the future), ``sent``, ``failed`` or ``uncertain``.

        Raises Unavailable or Stopped, after which the notice waits for whoever reads it next.
        """
        if self._log.is_known(notice.notice_id):
            return "known"
        # One of the future would be sent again once its id is forgotten.
        if abs(self._now_ms() - notice.event_time_ms) > self._max_age_ms:
            self._log.expire(notice)
            return "expired"
        pace = self._pace[notice.kind]
        # Wait first, claim then: a crash while waiting leaves nothing uncertain.
        self._wait(pace.take())
        token = self._log.claim(notice)
        if token is None:
            pace.give_back()
            return "known"
        return self.send(notice, token)

    def send(self, notice: Notice, token: str, comes_again: bool = True) -> str:
        """Sends what is claimed: ``sent``, ``failed`` or ``uncertain``; raises as ``handle`` does.

        ``comes_again``: the topic still has it, so an unavailable sender lets go of the claim; else
        the notice is kept as ``failed``.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                receipt = self._sender.send(notice)
            except Stuck as error:
                return self._log.stuck(notice.notice_id, token, error.status, str(error))
            except NotSent as error:
                if attempt == self._attempts and not comes_again:
                    return self._log.stuck(notice.notice_id, token, "failed", str(error))
                if attempt == self._attempts:
                    self._log.stuck(notice.notice_id, token, "waiting", str(error))
                    raise Unavailable(
                        f"gave up after {attempt} attempts: {error}; nothing was lost, "
                        "`tillstream notify run` goes on from here"
                    ) from None
                self._back_off(notice.notice_id, token, attempt)
                if not self._log.renew(notice.notice_id, token):
                    return "known"  # we waited for longer than a claim lasts
            else:
                self._log.sent(notice.notice_id, token, receipt)
                return "sent"
        raise AssertionError("not reached")

    def _back_off(self, notice_id: str, token: str, attempt: int) -> None:
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempt - 1))
        try:
            self._wait(longest * (0.5 + random.random() / 2))
        except Stopped:
            self._log.stuck(notice_id, token, "waiting", "told to stop before it was sent")
            raise

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            raise Stopped

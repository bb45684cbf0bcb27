"""What goes wrong outside the code and nobody below put into words: one line instead of a traceback.

Problem (tillstream/errors.py) needs none of this: click shows it by itself. A bug of ours is no
problem of this kind and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from tillstream.errors import Problem, Unreachable

FIX = (
    "`tillstream status` shows what is running, `tillstream up` starts the local stack and creates what "
    "is missing; elsewhere check conf and the credentials"
)
UNSAID = (
    "there is no stack: run `tillstream up`; for another environment set TILLSTREAM_ENV. Nothing says "
    "which is meant, so production's settings were used"
)
_AWS = {"botocore.exceptions.BotoCoreError", "botocore.exceptions.ClientError"}
# What a request to AWS may name -> what that is.
_NAMED = {"TableName": "table", "Bucket": "bucket", "StreamName": "stream", "TopicArn": "topic"}


class Interrupted(Problem):
    """Ctrl-C, with what that means here."""

    exit_code = 130

    def lines(self) -> list[str]:
        return [self.message]


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Ctrl-C, and errors of boto3 and Kafka's client, as Problems."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    except Problem as error:
        raise _with_environment(error) from None
    except Exception as error:
        # A time-out of botocore's is an OSError too, of no file.
        if (
            isinstance(error, OSError)
            and error.filename
            and not isinstance(error, FileNotFoundError)
        ):
            raise Problem(
                f"{error.filename}: {error.strerror}: choose a place that can be read and written"
            ) from None
        # By name, for botocore takes a quarter of a second to import.
        kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
        if "cimpl.KafkaException" in kinds:
            raise _with_environment(Unreachable(f"Kafka: {_reason(error)}: {FIX}")) from None
        if kinds & _AWS and "botocore.exceptions.ParamValidationError" not in kinds:
            told = Unreachable(f"{_asked(error)}: {_reason(error)}: {FIX}")
            raise _with_environment(told) from None
        raise


def _with_environment(error: Problem) -> Problem:
    """The same. Where nobody said which environment is meant, that comes first: what production's settings
    lack, credentials say, is not what is wrong."""
    from tillstream import conf

    outside = isinstance(error, Unreachable) or type(error).__name__ == "StorageError"
    if not outside or not conf.unsaid():
        return error
    told = Unreachable(UNSAID)
    told.notes = [f"note: with these, {error.message}", *error.notes]
    return told


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    said = cause.str() if hasattr(cause, "str") else str(cause)
    return said.partition("\n")[0]


def _asked(error: Exception) -> str:
    """``DynamoDB table balances at http://...``: whom the client that failed was asking for what."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "api_params" in frame.f_locals:
            meta, request = frame.f_locals["self"].meta, frame.f_locals["api_params"]
            named = "".join(f" {_NAMED[k]} {v}" for k, v in request.items() if k in _NAMED)
            return f"{meta.service_model.service_id}{named} at {meta.endpoint_url}"
    return "AWS"

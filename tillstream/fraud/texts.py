"""The texts a customer is sent, of the package or of a grocer's file, checked before a job starts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from tillstream.conf import Conf, ConfError
from tillstream.domain.fraud.asking import Asking, wrong_with
from tillstream.fraud.rules_file import starting_rules

PACKAGED = Path(__file__).with_name("texts.yaml")


def asking(conf: Conf) -> Asking:
    """How customers are asked. Raises ConfError that names the file and what is wrong."""
    answers, languages = conf.fraud.answers, conf.fraud.languages
    texts = read_texts(Path(conf.fraud.texts) if conf.fraud.texts else PACKAGED)
    if missing := sorted(set(languages.values()) - texts.keys()):
        raise ConfError(f"fraud.languages: there is no text in {', '.join(missing)}")
    return Asking(texts, languages, answers.release_cents, answers.minutes, answers.decline_on_no)


def starting(conf: Conf) -> tuple[bytes, Asking]:
    """What the judge starts with: JSON of the rule set, and how customers are asked."""
    return starting_rules(conf.fraud.rules), asking(conf)


def read_texts(path: Path) -> dict[str, str]:
    """By language. Raises ConfError."""
    where = f"fraud.texts: {path}"
    try:
        texts = msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, str])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfError(f"{where} must be a YAML file of language: text ({error})") from None
    if not texts:
        raise ConfError(f"{where} has no text")
    for language, text in texts.items():
        if wrong := wrong_with(text):
            raise ConfError(f"{where}: {language} {wrong}")
    return texts

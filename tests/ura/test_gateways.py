"""Whose yes is the last word, and who tells more later."""

from typing import Any

from ura.adapters import sms, whatsapp, zenvia
from ura.gateways import confirming
from ura.settings import Settings


def told(settings: Settings, **given: Any) -> dict[str, bool]:
    return dict(confirming(Settings.model_validate({**settings.model_dump(), **given})))


def test_who_only_accepts_is_believed_by_receipts_and_those_come_where_a_webhook_is_set_up(settings: Settings) -> None:
    assert told(settings) == {zenvia.NAME: False, whatsapp.NAME: False}
    assert told(settings, zenvia_hook_secret="word")[zenvia.NAME]
    assert told(settings, whatsapp_app_secret="word", whatsapp_verify_token="other")[whatsapp.NAME]
    assert told(settings, sms_hook_secret="word") == {zenvia.NAME: False, whatsapp.NAME: False, sms.NAME: True}

"""The shipped flow and catalogue as documents: publishable, lawful, spoken well."""

import re

import pytest

from tests.scenarios.story import durations, provedor
from ura.caller_lookups import follow
from ura.demo import provider
from ura.emergency import SHIPPED_PROMPT
from ura.flows import documents
from ura.flows.nodes import BaseNode, Menu
from ura.flows.validation import Known, check_document
from ura.models import Cause
from ura.prompts import load_all, load_texts
from ura.settings import ROOT

CATALOGUE = load_texts(ROOT / "prompts" / "catalogue.yaml")
GREETING_S = 5.0
PRODUCT_NAMES = {"WAN", "LAN", "PON", "CEP", "CPF"}


def test_the_shipped_flow_can_be_published_with_the_demo_provider() -> None:
    known = Known(prompts=load_all(ROOT / "prompts"), queues={queue["key"] for queue in provider()["queues"]})
    assert [mistake.message for mistake in check_document(documents.shipped("provedor"), known=known)] == []


@pytest.mark.parametrize("key", ["greeting.welcome", "greeting.again"])
def test_the_greeting_takes_at_most_five_seconds(key: str) -> None:
    assert 0 < durations()[key] <= GREETING_S


def test_the_corporate_word_takes_at_most_three_seconds() -> None:
    assert 0 < durations()["system.corporate"] <= 3.0


def test_every_sentence_of_the_catalogue_is_used() -> None:
    used = {said for node in provedor().nodes.values() for said in _keys(node)}
    used |= {str(said) for said in provedor().flow.fallback.prompts}
    used |= {f"outage.{cause}" for cause in Cause} | {SHIPPED_PROMPT}  # named by the house, not by the flow
    assert set(CATALOGUE) >= follow.PROMPTS
    used |= follow.PROMPTS
    unused = {key for key in CATALOGUE if key not in used and key.split(".")[0] not in ("system", "queue", "rescue")}
    assert unused == set()


def _keys(node: BaseNode) -> set[str]:
    return {said for said in node.spoken() if isinstance(said, str)} | set(node.fillers())


@pytest.mark.parametrize("key", CATALOGUE)
def test_a_sentence_is_written_for_the_ear(key: str) -> None:
    text = CATALOGUE[key]
    assert not re.search(r"[0-9&%$@/]", text), "numbers and symbols in words"
    shouted = set(re.findall(r"\b[A-ZÀ-Ú]{2,}\b", text)) - PRODUCT_NAMES
    assert not shouted, "abbreviations are spelt out"
    assert len(text) <= 220, "longer than anybody listens"


def test_a_menu_that_says_so_may_be_hung_up_on() -> None:
    told = {
        key
        for key, node in provedor().nodes.items()
        if isinstance(node, Menu) and any("desligar" in CATALOGUE.get(said, "") for said in _keys(node))
    }
    assert told
    assert told == {key for key, node in provedor().nodes.items() if isinstance(node, Menu) and node.may_hang_up}


def test_menus_have_at_most_six_choices() -> None:
    for key, node in provedor().nodes.items():
        if isinstance(node, Menu):
            assert len(node.choices) <= 6, key


OPTICAL = re.compile(
    r"(?=.*\bcabos?\b(?! de (rede|energia|força)))(?=.*\b(tir|deslig|solt|desconect|desplug|remov|pux|dobr)[a-zê]*\b)",
    re.IGNORECASE,
)  # a cable, which may be the fibre, and a word for taking it out; a network or power cable is another thing


def test_the_law_of_the_fibre_sees_cables_that_are_not_called_so() -> None:
    for bad in ("Tire o cabo fininho.", "Agora desligue todos os cabos.", "Solte o cabo amarelo e encaixe de novo."):
        assert OPTICAL.search(bad), bad
    for fine in (
        "Tire só a fonte da tomada.",
        "Ligue o computador com um cabo.",
        "Solte o cabo de rede e encaixe de novo.",
    ):
        assert not OPTICAL.search(fine), fine


def test_the_fibre_is_only_ever_named_to_be_left_alone() -> None:
    """Nobody is told to unplug it: each sentence with the fibre in it says not to, or that it stays."""
    for key, text in CATALOGUE.items():
        for sentence in re.split(r"(?<=[.!?])\s", text):
            if "fibra" in sentence or OPTICAL.search(sentence):
                assert re.search(r"\b[Nn]ão (mexa|solte)\b|fica como está", sentence), f"{key}: {sentence}"


def test_advertising_is_nowhere() -> None:
    assert not [key for key in CATALOGUE if key.startswith("advert.")]

"""Questions asked before it is their turn, while the caller listens to what comes before them."""

import asyncio
from collections.abc import Callable
from typing import Any

from ura.flows.effects import Lookup

Json = Any
Answer = asyncio.Future[dict[str, Json]]
MOST = 2


class EarlyQuestions:
    """In the order in which they will be needed. `ask` begins to find the answer."""

    def __init__(self, ask: Callable[[Lookup], Answer]) -> None:
        self._begin = ask
        self._asked: list[tuple[Lookup, Answer]] = []

    @property
    def full(self) -> bool:
        return len(self._asked) >= MOST

    def ask(self, question: Lookup) -> Answer:
        answer = self._begin(question)
        self._asked.append((question, answer))
        return answer

    def take(self, question: Lookup) -> Answer | None:
        """The answer to this question, there or still awaited, if it is the next one that was asked."""
        if not self._asked or self._asked[0][0] != question:
            return None
        return self._asked.pop(0)[1]

    def forget(self) -> None:
        """They were for the next effects only: later their answers would be old."""
        for _, answer in self._asked:
            answer.cancel()
        self._asked.clear()

"""The flow engine: `step(flow, state, event) -> (state, effect)`. Pure, synchronous, total.

state.py     where a call is                 compiled.py  a flow made ready to run
cursor.py    what one step reads and changes running.py   step: dispatch, ways out, budget
talk.py · choose.py · offer.py · guide.py · acts.py       what each node kind puts and how it hears the answer
identify.py · line.py · invoices.py · debt.py             the same for callers whom we may know
knowing.py · wish.py                                      what these share: how sure we are, what the ERP was asked
"""

from ura.flows.engine.compiled import CompiledFlow, compile_flow
from ura.flows.engine.running import escape, step
from ura.flows.engine.state import Mode, State

__all__ = ["CompiledFlow", "Mode", "State", "compile_flow", "escape", "step"]

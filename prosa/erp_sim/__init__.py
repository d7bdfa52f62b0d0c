"""The providers' systems, imitated well enough to try everything without an account: `prosa erp-sim sgp --port 9101`.

Each is a real HTTP server that answers from the demo's subscribers with that system's own shapes and oddities, and can
be made to misbehave while it runs (`POST /_sim/fault`, see faults.py). They imitate what is documented or was seen in
public integrations; none was compared with a live tenant.
"""

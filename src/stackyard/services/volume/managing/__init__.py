"""Taking over volumes and snapshots that a back end has and the cloud does not know of, and letting go of them.

What was let go of stays in the back end under the id that it had; that id is its reference (`source-name`), alone or
after a word such as `volume-`. A volume that is taken over gets an id of its own, a snapshot keeps the one it has.
"""

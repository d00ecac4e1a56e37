"""Exits 0 when a queue of the broker has a consumer. usage: queue_ready.py PORT QUEUE (run by the peers' Python)."""

from __future__ import annotations

import sys

import amqp  # type: ignore[import-not-found]  # only the peers have it

connection = amqp.Connection(f"127.0.0.1:{sys.argv[1]}", connect_timeout=2)
connection.connect()
try:
    consumers = connection.channel().queue_declare(sys.argv[2], passive=True).consumer_count
finally:
    connection.close()
sys.exit(0 if consumers else 1)

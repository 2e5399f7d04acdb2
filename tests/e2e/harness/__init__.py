"""What the end-to-end, fault and load tests share.

stack.py   starts and breaks real servers (Redis, nginx, worker, mongod)
parts.py   one class per kind of process
logs.py    what must never stand in a log
ws.py      one WebSocket connection, frame by frame
state.py   what a client makes of the events: the state of a room
client.py  the reference client: resume, retry, order checks
device.py  one device of a user: loads by REST, follows, comes back
mix.py     everything that people do, at random, and a model of it
light.py   connections by the thousand
rest.py    the REST side
tokens.py  JWTs
gate.py    a way to a server that can be shut
db.py      the stores, read directly
"""

"""What the end-to-end, fault and load tests share.

stack.py   starts and breaks real servers (Redis, nginx, worker, mongod)
parts.py   one class per kind of process
logs.py    what must never stand in a log
ws.py      one WebSocket connection, frame by frame
client.py  the reference client: resume, retry, order checks
rest.py    the REST side
tokens.py  JWTs
db.py      the stores, read directly
"""

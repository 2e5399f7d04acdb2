"""A way to a TCP server that can be shut: what is sent then arrives when it is
open again, as over a network that was interrupted."""

import socket
import threading

from . import net


class Gate:
    def __init__(self, target):
        """target: a port of this machine."""
        self.target = target
        self.open = threading.Event()
        self.open.set()
        self.port = net.free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        """For good; those who are through stay so."""
        self.open.set()
        self.listener.close()

    def _listen(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,),
                             daemon=True).start()

    def _join(self, near):
        self.open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            near.close()
            return
        for ends in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=ends,
                             daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

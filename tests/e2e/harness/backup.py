"""Backup and restore as docs/operations.md says it, by the programs that it
names.

What each of these classes has: take() makes the backup, wipe() loses what
there is, restore() puts it back.

MongoDB's Database Tools and MinIO's mc are in no Debian package and take their
time to build, so the tests of every day copy documents (Documents) and keep
files in a directory; with WRT_BACKUP_TOOLS=1 (`make restore-drill`, which
builds them) it is mongodump, mongorestore and mc.
"""

import json
import os
import shutil
import subprocess

from .parts import BUILD

TOOLS = os.environ.get("WRT_BACKUP_TOOLS") == "1"


def run(program, *args, **env):
    """A program of build/deps or PATH; it must succeed."""
    path = f"{BUILD / 'deps'}:{os.environ.get('PATH', '')}"
    found = shutil.which(program, path=path)
    assert found, f"no {program}: run tools/install.sh drill"
    done = subprocess.run([found, *map(str, args)], text=True,
                          env={**os.environ, **env}, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{program} {args}: {done.stdout}"
    return done.stdout


class Sqlite:
    def __init__(self, stack):
        self.path = stack.dir / "writeen.db"
        self.copy = stack.dir / "backup.db"

    def take(self):
        run("sqlite3", self.path, f".backup '{self.copy}'")

    def wipe(self):
        for suffix in "", "-wal", "-shm":
            self.path.with_name(self.path.name + suffix).unlink(
                missing_ok=True)

    def restore(self):
        shutil.copy(self.copy, self.path)


class Documents:
    """Documents and indexes, as mongodump has them."""

    def __init__(self, stack):
        self.stack = stack

    def take(self):
        with self.stack.mongod.client() as c:
            db = c[self.stack.database]
            # a room before what is said in it, as a late one is just late
            self.collections = {
                name: (list(db[name].list_indexes()), list(db[name].find()))
                for name in sorted(db.list_collection_names())}

    def wipe(self):
        with self.stack.mongod.client() as c:
            c.drop_database(self.stack.database)

    def restore(self):
        with self.stack.mongod.client() as c:
            db = c[self.stack.database]
            for name, (indexes, documents) in self.collections.items():
                db.create_collection(name)
                specs = [{k: v for k, v in i.items() if k != "ns"}
                         for i in indexes if i["name"] != "_id_"]
                if specs:
                    db.command("createIndexes", name, indexes=specs)
                if documents:
                    db[name].insert_many(documents)


class Dump:
    """mongodump and mongorestore.  Of a replica set one moment of the whole
    server; of a single server one database, with the pools stopped."""

    def __init__(self, stack):
        self.mongod = stack.mongod
        self.set = stack.mongod.set
        self.uri = stack.mongod.uri("" if self.set else stack.database)
        self.archive = stack.dir / "writeen.archive"

    def take(self):
        run("mongodump", "--uri", self.uri,
            *(["--oplog"] if self.set else []), "--gzip",
            f"--archive={self.archive}")

    def wipe(self):
        """The disk is a new one."""
        assert self.mongod.stop() is None
        shutil.rmtree(self.mongod.dir)
        self.mongod.dir.mkdir()
        self.mongod.start()

    def restore(self):
        run("mongorestore", "--uri", self.uri,
            *(["--oplogReplay"] if self.set else []), "--drop", "--gzip",
            f"--archive={self.archive}")


class Directory:
    """STORAGE=local, and the append-only file of Redis."""

    def __init__(self, path, copy):
        self.path = path
        self.copy = copy

    def take(self):
        run("rsync", "-a", f"{self.path}/", f"{self.copy}/")

    def wipe(self):
        shutil.rmtree(self.path)

    def restore(self):
        run("rsync", "-a", f"{self.copy}/", f"{self.path}/")


class Bucket:
    def __init__(self, stack):
        self.minio = stack.minio
        self.copy = stack.dir / "files-backup"
        self.config = stack.dir / "mc"

    def mc(self, *args):
        m = self.minio
        return run("mc", "--config-dir", self.config, *args,
                   MC_HOST_local=f"http://{m.user}:{m.password}"
                                 f"@127.0.0.1:{m.port}")

    def take(self):
        self.mc("mirror", "--preserve", "local/writeen", self.copy)

    def wipe(self):
        assert self.minio.stop() is None
        shutil.rmtree(self.minio.dir / "data")
        self.minio.start()

    def restore(self):
        """Encrypted as before: mc has decrypted what it got."""
        self.mc("mb", "--ignore-existing", "local/writeen")
        self.mc("mirror", "--preserve", "--enc-s3", "local/writeen",
                self.copy, "local/writeen")
        for line in self.mc("stat", "--json", "--recursive",
                            "local/writeen").splitlines():
            about = json.loads(line).get("metadata", {})
            assert about["X-Amz-Server-Side-Encryption"] == "AES256", line


def store_of(stack):
    if stack.store == "sqlite":
        return Sqlite(stack)
    return Dump(stack) if TOOLS else Documents(stack)


def files_of(stack):
    if stack.minio:
        return Bucket(stack)
    return Directory(stack.blobs, stack.dir / "files-backup")


def redis_of(stack):
    return Directory(stack.redis[0].dir / "appendonlydir",
                     stack.dir / "redis-backup")

// SPDX-License-Identifier: Apache-2.0
// The tables, as the steps that lead to them: step N takes a database of version N to version N+1.
// A step that was released is never changed; a new one is put behind.
#pragma once

static const char *const schema_steps[] = {
    // 1: everything but inline data of one kind lives under the id of its container, so a workspace cannot reach another's.
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE workspace(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " quota_namespaces INTEGER NOT NULL DEFAULT 0, quota_queues INTEGER NOT NULL DEFAULT 0,"
    " quota_bytes INTEGER NOT NULL DEFAULT 0, namespaces INTEGER NOT NULL DEFAULT 0, queues INTEGER NOT NULL DEFAULT 0,"
    " kv_bytes INTEGER NOT NULL DEFAULT 0, queue_bytes INTEGER NOT NULL DEFAULT 0,"
    " object_bytes INTEGER NOT NULL DEFAULT 0, objects INTEGER NOT NULL DEFAULT 0) STRICT;"
    // kind: enum container_kind. version: of a namespace; last id of a queue.
    "CREATE TABLE container(id INTEGER PRIMARY KEY AUTOINCREMENT, workspace INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " name TEXT NOT NULL, items INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
    " version INTEGER NOT NULL DEFAULT 0, dedup_ms INTEGER NOT NULL DEFAULT 0, visibility_ms INTEGER NOT NULL DEFAULT "
    "0,"
    " delay_ms INTEGER NOT NULL DEFAULT 0, retention_ms INTEGER NOT NULL DEFAULT 0,"
    " max_receives INTEGER NOT NULL DEFAULT 0, dead_letter TEXT NOT NULL DEFAULT '',"
    " leased INTEGER NOT NULL DEFAULT 0, delayed INTEGER NOT NULL DEFAULT 0, UNIQUE(workspace,kind,name)) STRICT;"
    // Containers that are gone, whose rows are still being removed piece by piece.
    "CREATE TABLE doomed(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL) STRICT;"
    "CREATE TABLE kv(ns INTEGER NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " value BLOB NOT NULL, PRIMARY KEY(ns,key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX kv_expires ON kv(expires) WHERE expires>0;"
    // due: 0 can be received; else when it can be (ms since 1970), of a lease or a delay. token: of the lease; 0: none.
    "CREATE TABLE message(queue INTEGER NOT NULL, due INTEGER NOT NULL, id INTEGER NOT NULL, sent INTEGER NOT NULL,"
    " receives INTEGER NOT NULL, token INTEGER NOT NULL, source INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY(queue,due,id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX message_hidden ON message(queue,id) WHERE due>0;"
    "CREATE TABLE dedup(queue INTEGER NOT NULL, hash BLOB NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(queue,hash)) STRICT, WITHOUT ROWID;"
    // file: 0: the bytes are in `data`.
    "CREATE TABLE object(bucket INTEGER NOT NULL, key BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " etag TEXT NOT NULL, type TEXT, file INTEGER NOT NULL, data BLOB, PRIMARY KEY(bucket,key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX object_file ON object(file) WHERE file>0;"
    // Files that no object needs any more: removed after the commit that says so.
    "CREATE TABLE garbage(file INTEGER PRIMARY KEY) STRICT;",
};

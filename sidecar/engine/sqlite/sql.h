// SPDX-License-Identifier: Apache-2.0
// Every statement that is prepared once a connection: name and text.
#pragma once

#define SQL_STATEMENTS(X)                                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(BEGIN_READ, "BEGIN")                                                                                             \
    X(COMMIT, "COMMIT")                                                                                                \
    X(ROLLBACK, "ROLLBACK")                                                                                            \
    /* names and counters */                                                                                           \
    X(WORKSPACES, "SELECT id,name,quota_namespaces,quota_queues,quota_bytes,namespaces,queues,kv_bytes,queue_bytes,"   \
                  "object_bytes,objects FROM workspace")                                                               \
    X(WORKSPACE_ADD, "INSERT INTO workspace(name) VALUES(?1)")                                                         \
    X(WORKSPACE_SAVE, "UPDATE workspace SET quota_namespaces=?2,quota_queues=?3,quota_bytes=?4,namespaces=?5,"         \
                      "queues=?6,kv_bytes=?7,queue_bytes=?8,object_bytes=?9,objects=?10 WHERE id=?1")                  \
    X(WORKSPACE_USAGE, "SELECT namespaces,queues,kv_bytes,queue_bytes,object_bytes,objects FROM workspace WHERE "      \
                       "name=?1")                                                                                      \
    X(CONTAINERS, "SELECT id,workspace,kind,name,items,bytes,version,dedup_ms,visibility_ms,delay_ms,retention_ms,"    \
                  "max_receives,dead_letter,leased,delayed FROM container")                                            \
    X(CONTAINER_ADD, "INSERT INTO container(workspace,kind,name) VALUES(?1,?2,?3)")                                    \
    X(CONTAINER_SAVE, "UPDATE container SET items=?2,bytes=?3,version=?4,leased=?5,delayed=?6 WHERE id=?1")            \
    X(CONTAINER_SETTINGS, "UPDATE container SET dedup_ms=?2,visibility_ms=?3,delay_ms=?4,retention_ms=?5,"             \
                          "max_receives=?6,dead_letter=?7 WHERE id=?1")                                                \
    X(CONTAINER_VERSION, "SELECT version FROM container WHERE id=?1")                                                  \
    X(CONTAINER_REMOVE, "DELETE FROM container WHERE id=?1")                                                           \
    X(CONTAINER_LIST,                                                                                                  \
      "SELECT c.id,c.name,c.items,c.bytes,c.version,c.dedup_ms,c.visibility_ms,c.delay_ms,"                            \
      "c.retention_ms,c.max_receives,c.dead_letter,c.leased,c.delayed FROM container c JOIN workspace w "              \
      "ON c.workspace=w.id WHERE w.name=?1 AND c.kind=?2 AND (?3 IS NULL OR c.name=?3) ORDER BY c.name")               \
    X(DOOMED_ADD, "INSERT INTO doomed(id,kind) VALUES(?1,?2)")                                                         \
    X(DOOMED_FIRST, "SELECT id,kind FROM doomed LIMIT 1")                                                              \
    X(DOOMED_REMOVE, "DELETE FROM doomed WHERE id=?1")                                                                 \
    X(META_GET, "SELECT value FROM meta WHERE name=?1")                                                                \
    X(META_SET, "INSERT OR REPLACE INTO meta(name,value) VALUES(?1,?2)")                                               \
    /* keys and values */                                                                                              \
    X(KV_GET, "SELECT version,expires,value FROM kv WHERE ns=?1 AND key=?2")                                           \
    X(KV_HEAD, "SELECT version,expires,length(value) FROM kv WHERE ns=?1 AND key=?2")                                  \
    X(KV_ADD, "INSERT INTO kv(ns,key,version,expires,value) VALUES(?1,?2,?3,?4,?5)")                                   \
    X(KV_SET, "UPDATE kv SET version=?3,expires=?4,value=?5 WHERE ns=?1 AND key=?2")                                   \
    X(KV_REMOVE, "DELETE FROM kv WHERE ns=?1 AND key=?2")                                                              \
    X(KV_LIST, "SELECT key,version,expires,length(key)+length(value) FROM kv WHERE ns=?1 AND key>=?2 AND key>?3 AND "  \
               "(expires=0 OR expires>?4) ORDER BY key LIMIT ?5")                                                      \
    X(KV_LIST_VALUES, "SELECT key,version,expires,length(key)+length(value),value FROM kv WHERE ns=?1 AND key>=?2 "    \
                      "AND key>?3 AND (expires=0 OR expires>?4) ORDER BY key LIMIT ?5")                                \
    X(KV_EXPIRED, "SELECT ns,key,expires,length(value) FROM kv WHERE expires>0 AND expires<=?1 LIMIT 256")             \
    X(KV_EXPIRED_SUM, "SELECT count(*),coalesce(sum(length(key)+length(value)),0) FROM kv WHERE expires>0 AND "        \
                      "expires<=?1 AND ns=?2")                                                                         \
    X(KV_NEXT_EXPIRY, "SELECT min(expires) FROM kv WHERE expires>0")                                                   \
    X(KV_DOOMED, "DELETE FROM kv WHERE ns=?1 AND key IN (SELECT key FROM kv WHERE ns=?1 LIMIT 256)")                   \
    /* queues */                                                                                                       \
    X(DEDUP_GET, "SELECT id,at FROM dedup WHERE queue=?1 AND hash=?2")                                                 \
    X(DEDUP_PUT, "INSERT OR REPLACE INTO dedup(queue,hash,id,at) VALUES(?1,?2,?3,?4)")                                 \
    X(DEDUP_SWEEP, "SELECT queue,hash,at FROM dedup WHERE (queue,hash)>(?1,?2) LIMIT 512")                             \
    X(DEDUP_REMOVE, "DELETE FROM dedup WHERE queue=?1 AND hash=?2")                                                    \
    X(DEDUP_DOOMED, "DELETE FROM dedup WHERE queue=?1 AND hash IN (SELECT hash FROM dedup WHERE queue=?1 LIMIT 256)")  \
    X(MESSAGE_PUT,                                                                                                     \
      "INSERT INTO message(queue,due,id,sent,receives,token,source,body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")             \
    X(MESSAGE_READY, "SELECT id,sent,receives,source,body FROM message WHERE queue=?1 AND due=0 ORDER BY id LIMIT ?2") \
    X(MESSAGE_PEEK,                                                                                                    \
      "SELECT id,sent,receives,source,body FROM message WHERE queue=?1 AND due=0 AND sent>?3 ORDER BY id LIMIT ?2")    \
    X(MESSAGE_HEAD, "SELECT sent,length(body) FROM message WHERE queue=?1 AND due=0 ORDER BY id")                      \
    X(MESSAGE_LEASED, "UPDATE message SET due=?3,receives=?4,token=?5 WHERE queue=?1 AND due=0 AND id=?2")             \
    X(MESSAGE_LEASE, "SELECT token,length(body) FROM message WHERE queue=?1 AND due=?2 AND id=?3")                     \
    X(MESSAGE_FROM,                                                                                                    \
      "SELECT id,source,body FROM message WHERE queue=?1 AND due=0 AND id>?2 AND source>0 ORDER BY id LIMIT 64")       \
    X(MESSAGE_PURGE, "DELETE FROM message WHERE queue=?1")                                                             \
    X(MESSAGE_REMOVE, "DELETE FROM message WHERE queue=?1 AND due=?2 AND id=?3")                                       \
    X(MESSAGE_HIDDEN, "SELECT due FROM message WHERE queue=?1 AND id=?2 AND due>0")                                    \
    X(MESSAGE_GET, "SELECT sent,receives,token,source,body FROM message WHERE queue=?1 AND due=?2 AND id=?3")          \
    X(MESSAGE_DUE, "SELECT due,id FROM message WHERE queue=?1 AND due>0 AND due<=?2 LIMIT 256")                        \
    X(MESSAGE_NEXT_DUE, "SELECT min(due) FROM message WHERE queue=?1 AND due>0")                                       \
    X(MESSAGE_OLD, "SELECT due,id,length(body),token FROM message WHERE queue=?1 AND due=0 AND sent<=?2 ORDER BY id "  \
                   "LIMIT 256")                                                                                        \
    X(MESSAGE_OLD_HIDDEN,                                                                                              \
      "SELECT due,id,length(body),token FROM message WHERE queue=?1 AND due>0 AND sent<=?2 LIMIT 256")                 \
    X(MESSAGE_OLDEST, "SELECT min(sent) FROM (SELECT sent FROM (SELECT sent FROM message WHERE queue=?1 AND due=0 "    \
                      "ORDER BY id LIMIT 1) UNION ALL SELECT min(sent) FROM message WHERE queue=?1 AND due>0)")        \
    X(MESSAGE_DUE_SUM, "SELECT coalesce(sum(token<>0),0),coalesce(sum(token=0),0) FROM message WHERE queue=?1 AND "    \
                       "due>0 AND due<=?2 AND sent>?3")                                                                \
    X(MESSAGE_OLD_SUM, "SELECT coalesce(sum(token<>0),0),coalesce(sum(token=0),0),coalesce(sum(length(body)),0) FROM " \
                       "message WHERE queue=?1 AND due>0 AND sent<=?2")                                                \
    X(MESSAGE_DOOMED, "DELETE FROM message WHERE (queue,due,id) IN (SELECT queue,due,id FROM message WHERE queue=?1 "  \
                      "LIMIT 256)")                                                                                    \
    /* objects */                                                                                                      \
    X(OBJECT_GET, "SELECT size,modified,etag,type,file,data FROM object WHERE bucket=?1 AND key=?2")                   \
    X(OBJECT_HEAD, "SELECT size,modified,etag,type,file FROM object WHERE bucket=?1 AND key=?2")                       \
    X(OBJECT_PUT, "INSERT OR REPLACE INTO object(bucket,key,size,modified,etag,type,file,data) "                       \
                  "VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                                                                   \
    X(OBJECT_REMOVE, "DELETE FROM object WHERE bucket=?1 AND key=?2")                                                  \
    X(OBJECT_LIST, "SELECT key,size,modified,etag,type FROM object WHERE bucket=?1 AND key>=?2 AND key>?3 "            \
                   "ORDER BY key LIMIT ?4")                                                                            \
    X(OBJECT_OF_FILE, "SELECT 1 FROM object WHERE file=?1 AND file>0")                                                 \
    X(OBJECT_ALL_FILES, "SELECT file FROM object WHERE file>0")                                                        \
    X(GARBAGE_ADD, "INSERT OR IGNORE INTO garbage(file) VALUES(?1)")                                                   \
    X(GARBAGE_LIST, "SELECT file FROM garbage LIMIT 256")                                                              \
    X(GARBAGE_REMOVE, "DELETE FROM garbage WHERE file=?1")

enum sql {
#define SQL_ENUM(name, text) SQL_##name,
    SQL_STATEMENTS(SQL_ENUM)
#undef SQL_ENUM
        SQL_COUNT
};

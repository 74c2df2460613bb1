-- name: schema
-- One table of documents (each a Struct as JSON, in order of arrival) and one of counters.
CREATE TABLE IF NOT EXISTS documents (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;

-- name: put_document
INSERT INTO documents (kind, id, body) VALUES (:kind, :id, :body)
ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body;

-- name: get_document
SELECT body FROM documents WHERE kind = :kind AND id = :id;

-- name: all_documents
SELECT body FROM documents WHERE kind = :kind ORDER BY position;

-- name: keys_of_account
SELECT id FROM documents
WHERE kind = :kind AND json_extract(body, '$.client_id') = :client_id
    AND json_extract(body, '$.account') = :account
ORDER BY position;

-- name: drop_document
DELETE FROM documents WHERE kind = :kind AND id = :id;

-- name: drop_documents
DELETE FROM documents WHERE kind = :kind;

-- name: add_to_counter
INSERT INTO counters (name, value) VALUES (:name, :amount)
ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
RETURNING value;

-- name: counter
SELECT value FROM counters WHERE name = :name;

-- name: counters_with_prefix
SELECT name, value FROM counters WHERE substr(name, 1, length(:prefix)) = :prefix ORDER BY name;

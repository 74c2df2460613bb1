-- name: put_import :exec What a person brought in; brought in again, it goes where the last one said.
insert into items (
    item_id, correlation_id, origin, title, url, rights, decision, decided_because, destination, decided_at
) values ($1, $2, 'import', $3, $4, $5, 'imported', $6, $7, now())
on conflict (item_id) do update
set title = excluded.title, rights = excluded.rights, decided_because = excluded.decided_because, destination = excluded.destination, decided_at = now();

-- name: put_selected :exec The row that the ranker wrote stays; one is made where the event came from elsewhere.
insert into items (
    item_id, correlation_id, origin, platform, title, url, niche, candidate, rights, score, reasons, decision,
    decided_because, destination, decided_at
) values ($1, $2, 'scan', $3, $4, $5, $6, $7, $8, $9, $10, 'selected', 'selected by event', $11, now())
on conflict (item_id) do nothing;

-- name: rights_of_file :many What is known of an item ($1) if it is an import, then of the same bytes ($2) in other items.
select rights from (
    select rights, 0 as place, item_id from items where item_id = $1 and origin = 'import'
    union all
    select rights, 1, item_id from assets where sha256 = $2 and role = 'source' and item_id <> $1
) known order by place, item_id;

-- name: rendered_as :val The plan that the same bytes were rendered from last; null: they were made elsewhere.
select plan from renditions where rendition ->> 'sha256' = $1 order by started_at desc, plan_id limit 1;

-- name: imported_from :one The item that this very import made of an address before it was cut off.
select i.item_id, i.title from items i join assets a using (item_id)
where i.origin = 'import' and i.correlation_id = $1 and i.url = $2 and a.role = 'source';

-- name: find_asset :one A stored file of an item.
select key, sha256, size_bytes, probe, rights from assets where item_id = $1 and role = $2;

-- name: put_asset :exec Record a stored file.
insert into assets (item_id, role, key, sha256, size_bytes, probe, rights) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (item_id, role) do update
set key = excluded.key, sha256 = excluded.sha256, size_bytes = excluded.size_bytes, probe = excluded.probe,
    rights = excluded.rights;

-- name: drop_asset :exec Forget a file that an item no longer uses.
delete from assets where item_id = $1 and role = $2;

-- name: put_transcript :exec Record the words of an item.
insert into transcripts (item_id, origin, cues) values ($1, $2, $3)
on conflict (item_id) do update set origin = excluded.origin, cues = excluded.cues, created_at = now();

-- name: drop_transcript :exec Forget the words of an item that is edited again without any.
delete from transcripts where item_id = $1;

-- name: find_transcribed :val What was heard in an item's source; null: it was not asked yet.
select cues from transcripts where item_id = $1 and origin = 'transcribed';

-- name: find_written :val What a model wrote of the same words before.
select said from written_texts where item_id = $1 and asked = $2;

-- name: put_written :exec Record what a model wrote, before anything follows from it.
insert into written_texts (item_id, asked, model, said) values ($1, $2, $3, $4)
on conflict (item_id) do update
set asked = excluded.asked, model = excluded.model, said = excluded.said, written_at = now();

-- name: put_usage :exec What an item used, for its cost.
insert into usages (usage_id, item_id, kind, name, amount, used_at) values ($1, $2, $3, $4, $5, now());

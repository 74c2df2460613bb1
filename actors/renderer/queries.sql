-- Renditions: one row per plan, from the start of its render to the stored file; and the parts they are joined from.

-- name: start_rendition :exec  The row stands before the work; a later delivery finds it again
insert into renditions (plan_id, item_id, plan, frames_total, started_at) values ($1, $2, $3, $4, $5)
on conflict (plan_id) do nothing;

-- name: find_rendition :val  The finished file of a plan; null until it is stored
select rendition from renditions where plan_id = $1;

-- name: restart :exec  Nothing of it is told as finished any more
update renditions
set rendition = null, asked = null, asked_by = null, join_event = null, finished_at = null,
    started_at = $2, eta_s = null, eta_because = 'it has not begun'
where plan_id = $1;

-- name: finish_rendition :val  Null if another has finished it
update renditions
set rendition = $2, frames_done = $3, frames_total = $3, finished_at = $4, eta_s = 0, eta_because = '',
    asked = null, asked_by = null
where plan_id = $1
returning true;

-- name: lock_rendition :exec  Who finishes the last part is decided under this lock
select from renditions where plan_id = $1 for update;

-- name: find_job :one  What chunk jobs and the join need of a plan
select item_id, plan, asked, asked_by, join_event, rendition is not null as finished,
    greatest(started_at, told_at, (select max(seen_at) from render_chunks c where c.plan_id = r.plan_id)) as active_at
from renditions r where plan_id = $1;

-- name: ask_job :exec  The plan is rendered in chunk jobs for this request
update renditions set asked = $2, asked_by = $3 where plan_id = $1;

-- name: ask_join :exec
update renditions set join_event = $2 where plan_id = $1;

-- name: why_over :val  Why nothing more is done for a plan: one of its events ended without success
select d.error from dead_letters d
where d.state in ('open', 'dropped')
    and d.consumer in ('renderer-chunk-requested', 'renderer-join-requested')
    and (d.event_id in (select event_id from render_chunks where plan_id = $1)
        or d.event_id = (select join_event from renditions where plan_id = $1))
order by d.id limit 1;

-- name: put_part :exec  A part as this plan and engine want it; what is done stays done
insert into render_chunks (plan_id, index, key, frames) values ($1, $2, $3, $4)
on conflict (plan_id, index) do update
set key = excluded.key, frames = excluded.frames,
    state = 'waiting', frames_done = 0, started_at = null, seen_at = null
where render_chunks.key <> excluded.key;

-- name: drop_parts :exec  Parts that the plan no longer has, of an engine that cut otherwise
delete from render_chunks where plan_id = $1 and index <> all($2::integer[]);

-- name: reuse_parts :exec  What is done is what has a file
update render_chunks c
set state = case when f.sha256 is null then 'waiting' else 'done' end,
    frames_done = case when f.sha256 is null then 0 else c.frames end, started_at = null, seen_at = now()
from render_chunks p left join chunk_files f on f.key = p.key
where c.plan_id = $1 and p.plan_id = c.plan_id and p.index = c.index
    and (c.state = 'done') is distinct from (f.sha256 is not null);

-- name: touch_files :exec  The files of a plan are wanted
update chunk_files set used_at = now() where key in (select key from render_chunks where plan_id = $1);

-- name: ask_parts :many  Parts in these states wait for a new event
update render_chunks set state = 'waiting', rounds = rounds + 1, frames_done = 0
where plan_id = $1 and state = any($2::text[])
returning index, rounds;

-- name: any_left :val  Whether parts were left when the plan was over
select exists (select from render_chunks where plan_id = $1 and state = 'stopped');

-- name: note_event :exec
update render_chunks set event_id = $3 where plan_id = $1 and index = $2;

-- name: find_part :one
select index, key, frames, state, rounds, event_id from render_chunks where plan_id = $1 and index = $2;

-- name: list_parts :many  In the order of the file, the sound first
select index, key, frames, state, rounds, event_id from render_chunks where plan_id = $1 order by index;

-- name: work_on_part :exec  A render of it begins
update render_chunks
set state = 'working', renders = renders + 1, frames_done = 0, started_at = now(), seen_at = now()
where plan_id = $1 and index = $2;

-- name: note_frames :exec
update render_chunks set frames_done = $3, seen_at = now() where plan_id = $1 and index = $2 and state = 'working';

-- name: stop_part :exec  Its event is not worked on, because the plan is over
update render_chunks set state = 'stopped' where plan_id = $1 and index = $2 and state <> 'done';

-- name: finish_part :val  Null if it was done before
update render_chunks set state = 'done', frames_done = frames, seen_at = now()
where plan_id = $1 and index = $2 and state <> 'done'
returning true;

-- name: count_missing :val
select count(*) from render_chunks where plan_id = $1 and state <> 'done';

-- name: claim_telling :val  Progress of a plan is told once a second, by whoever comes first, and ($2) at its end
update renditions set told_at = now()
where plan_id = $1 and rendition is null and ($2 or told_at is null or told_at <= now() - interval '1 second')
returning frames_total;

-- name: pace :one  Frames done; chunks at work, seen within $2 seconds; frames per second of one worker
select
    coalesce(sum(frames_done), 0)::bigint as frames_done,
    count(*) filter (where state = 'working' and seen_at > now() - make_interval(secs => $2)) as workers,
    (sum(frames_done) filter (where started_at is not null)
        / nullif(sum(extract(epoch from seen_at - started_at)) filter (where started_at is not null), 0)
    )::double precision as pace_per_s
from render_chunks where plan_id = $1 and index >= 0;

-- name: note_progress :exec
update renditions set frames_done = $2, eta_s = $3, eta_because = $4 where plan_id = $1 and rendition is null;

-- name: find_file :one  A file that is kept for its key
select object_key, sha256, size_bytes from chunk_files where key = $1 and sha256 is not null;

-- name: intend_file :exec  Before a file is made
insert into chunk_files (key, object_key) values ($1, $2)
on conflict (key) do update set object_key = excluded.object_key, used_at = now();

-- name: note_file :exec  The file is stored
insert into chunk_files (key, object_key, sha256, size_bytes) values ($1, $2, $3, $4)
on conflict (key) do update
set object_key = excluded.object_key, sha256 = excluded.sha256, size_bytes = excluded.size_bytes, used_at = now();

-- name: forget_file :exec  The file is lost or damaged; every plan needs it anew
update chunk_files set sha256 = null, size_bytes = null where key = $1;

-- name: miss_parts :exec  Their files are gone
update render_chunks set state = 'waiting', frames_done = 0 where plan_id = $1 and key = any($2::text[]);

-- name: stale_files :many  Files unused for $1, and the longest unused beyond $2 bytes, but none of a plan under way
select key, object_key from (
    select key, object_key, used_at, sum(coalesce(size_bytes, 0)) over (order by used_at desc, key) as kept_bytes
    from chunk_files
) f
where (used_at < now() - $1::interval or kept_bytes > $2)
    and not exists (
        select from render_chunks c join renditions r using (plan_id)
        where c.key = f.key and r.rendition is null
            and greatest(r.started_at, r.told_at, c.seen_at) > now() - $1::interval
    )
order by used_at limit 500;

-- name: give_up_file :val  From here on nobody reuses it; null if it was used meanwhile
update chunk_files set sha256 = null, size_bytes = null where key = $1 and used_at < now() - $2::interval
returning true;

-- name: drop_file :exec
delete from chunk_files where key = $1 and sha256 is null and used_at < now() - $2::interval;

-- name: drop_lease :exec
delete from leases where name = $1 and expires_at < now();

-- name: prune_parts :exec  Parts of what was finished long ago
delete from render_chunks c using renditions r where r.plan_id = c.plan_id and r.finished_at < now() - $1::interval;

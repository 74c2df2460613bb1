-- Renditions: one row per plan, from the start of its render to the stored file.

-- name: start_rendition :exec  The row stands before the work; a later delivery finds it again
insert into renditions (plan_id, item_id, plan, frames_total, started_at) values ($1, $2, $3, $4, $5)
on conflict (plan_id) do nothing;

-- name: find_rendition :val  The finished file of a plan; null until it is stored
select rendition from renditions where plan_id = $1;

-- name: restart :exec
update renditions set started_at = $2, frames_done = 0, frames_total = $3 where plan_id = $1 and rendition is null;

-- name: note_progress :exec
update renditions set frames_done = $2 where plan_id = $1;

-- name: finish_rendition :exec
update renditions set rendition = $2, frames_done = $3, frames_total = $3, finished_at = $4 where plan_id = $1;

-- name: keys :many
select k.key, m.work_id from work_keys k join marks m using (item_no) where k.key = any($1::bigint[]);

-- name: namesakes :many
-- Items of the same title whose length is within the given bounds, few of each, the oldest first.
-- The few are taken in the order of the index: of a title that thousands have, no more than those are read.
select given.at, m.item_id, m.work_id, m.platform, m.published_at, m.duration_us, m.creator_key, m.language, m.picture
from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) as given (at, title_key, least_us, most_us)
cross join lateral (
    select * from marks
    where marks.title_key = given.title_key and marks.duration_us between given.least_us and given.most_us
    order by duration_us limit $5
) m
order by given.at, m.item_no;

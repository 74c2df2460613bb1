-- name: lock_findings :exec  Two replicas never write findings at the same time
select pg_advisory_xact_lock(hashtext('ranker.findings'));

-- name: niches :many  Every niche on every platform that was scanned for it
select distinct niche, platform from items where niche <> '' and platform is not null order by niche, platform;

-- name: own_niches :many  Every niche on every platform that was posted to
select distinct i.niche, p.platform from posts p join items i using (item_id)
where i.niche <> '' and p.state = 'published' order by i.niche, p.platform;

-- name: seen_works :many  Works with their first and last count of a span, the latest seen first
select i.item_id, i.title, (i.candidate ->> 'published_at')::timestamptz as published_at,
    (i.candidate ->> 'duration_us')::bigint as duration_us, t.cues -> 0 ->> 'text' as spoken,
    a.observed_at as first_at, a.views as first_views, z.observed_at as last_at, z.views as last_views
from items i
left join transcripts t using (item_id)
cross join lateral (
    select o.observed_at, o.views from counts o
    where o.item_no = i.item_no and o.observed_at >= $3 and o.observed_at < $4 and o.views is not null
    order by o.observed_at limit 1
) a
cross join lateral (
    select o.observed_at, o.views from counts o
    where o.item_no = i.item_no and o.observed_at >= $3 and o.observed_at < $4 and o.views is not null
    order by o.observed_at desc limit 1
) z
where i.niche = $1 and i.platform = $2
order by z.observed_at desc, i.item_id limit $5;

-- name: own_works :many  Own posts with their first and last count of a span, and the plan they were rendered from
select p.post_id as item_id, p.draft ->> 'title' as title, p.published_at, t.cues -> 0 ->> 'text' as spoken,
    (r.rendition ->> 'duration_us')::bigint as duration_us,
    jsonb_array_length(r.plan -> 'clips') as clips, r.plan -> 'captions' -> 'cues' as cues,
    a.measured_at as first_at, a.views as first_views, z.measured_at as last_at, z.views as last_views
from posts p
join items i on i.item_id = p.item_id
left join transcripts t on t.item_id = p.item_id
left join lateral (
    select rendition, plan from renditions
    where item_id = p.item_id and rendition ->> 'key' = p.object_key order by plan_id limit 1
) r on true
cross join lateral (
    select m.measured_at, m.views from measurements m
    where m.post_id = p.post_id and m.measured_at >= $3 and m.measured_at < $4 and m.views is not null
    order by m.measured_at, m.bucket limit 1
) a
cross join lateral (
    select m.measured_at, m.views from measurements m
    where m.post_id = p.post_id and m.measured_at >= $3 and m.measured_at < $4 and m.views is not null
    order by m.measured_at desc, m.bucket desc limit 1
) z
where i.niche = $1 and p.platform = $2 and p.state = 'published'
order by z.measured_at desc, p.post_id limit $5;

-- name: seen_counts :many  Every count of a niche on a platform in a span, work by work, in order of time
select i.item_no, i.first_seen_at, o.observed_at, o.views
from items i join counts o using (item_no)
where i.niche = $1 and i.platform = $2 and o.observed_at >= $3 and o.observed_at < $4
order by i.item_no, o.observed_at;

-- name: clear_patterns :exec
delete from viral_patterns;

-- name: put_pattern :exec
insert into viral_patterns
    (niche, platform, origin, kind, value, works, of_works, lift, low, high, because, begins_at, ends_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: clear_trends :exec
delete from niche_trends;

-- name: put_trend :exec
insert into niche_trends
    (niche, platform, window_days, begins_at, ends_at, works, new_works, measured, growth, growth_low, growth_high,
    works_before, new_works_before, measured_before, growth_before, change, change_low, change_high, verdict, because)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20);

-- name: patterns :many  Of one niche, or of all; of each kind the strongest first
select niche, platform, origin, kind, value, works, of_works, lift, low, high, because, begins_at, ends_at
from viral_patterns where $1::text is null or niche = $1
order by niche, platform, origin desc, kind, lift desc nulls last, value;

-- name: trends :many  Of one niche, or of all
select niche, platform, window_days, begins_at, ends_at, works, new_works, measured, growth, growth_low, growth_high,
    works_before, new_works_before, measured_before, growth_before, change, change_low, change_high, verdict, because
from niche_trends where $1::text is null or niche = $1
order by niche, platform, window_days;

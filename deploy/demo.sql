-- What the demo reads of its one item.

-- name: post_state :val
select state from posts where item_id = $1;

-- name: is_ended :val  Measured, ended for a reason, or the scan ended without the item
select exists (
        select from measurements join posts using (post_id) where posts.item_id = $1
    )
    or exists (select from posts where item_id = $1 and state in ('failed', 'unconfirmed', 'waiting'))
    or exists (
        select from dead_letters
        where state = 'open' and correlation_id in (select correlation_id from items where item_id = $1 union select $2)
    )
    or exists (
        select from inbox join outbox on outbox.message_id = inbox.event_id
        where inbox.consumer = 'ranker-scan-completed' and outbox.subject = 'ett.scan.completed'
          and outbox.correlation_id = $2
          and not exists (select from items where item_id = $1 and decision = 'selected')
    );

-- name: item :one
select item_id, correlation_id, title, rights, score, reasons, decision, decided_because from items where item_id = $1;

-- name: rendition :val
select rendition from renditions where item_id = $1 and rendition is not null order by finished_at desc limit 1;

-- name: post :one
select platform, platform_post_id, url, state, because from posts where item_id = $1;

-- name: first_measurement :one
select measured_at, age_s, measurements.views, measurements.likes, measurements.comments, measurements.shares, absent
from measurements join posts using (post_id) where posts.item_id = $1 order by bucket limit 1;

-- name: flow :many  Every event that followed, in order
select message_id, substr(subject, 5) as type from outbox
where correlation_id = $1
order by created_at, id;

-- name: rejection :val
select error from dead_letters
where correlation_id = $2 or item_id = $1
order by id desc limit 1;

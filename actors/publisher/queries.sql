-- Posts: intent, session, outcome. Every write but the first insert is made under the post's lease.

-- name: put_intent :exec  The row that stands before the first outside call
insert into posts (post_id, item_id, platform, state, draft, object_key, size_bytes, correlation_id, request, intent_at,
                   updated_at, asked_at)
values ($1, $2, $3, 'claimed', $4, $5, $6, $7, $8, $9, $9, $10)
on conflict (post_id) do nothing;

-- name: put_item :exec  A file that a person posts was never an item: it is shown like one from here on
insert into items (item_id, correlation_id, origin, title, rights, decision, destination, first_seen_at, decided_at)
values ($1, $2, 'import', $3, $4, 'imported', $5, $6, $6)
on conflict do nothing;

-- name: lock_post :one
select post_id, item_id, platform, account_id, state, because, next_action, draft, object_key, size_bytes, session,
       platform_post_id, url, privacy, correlation_id, settled, rendered_again, asked_at, superseded,
       uploads
from posts where post_id = $1
for update;

-- name: renew_intent :exec  A request for a post of which nothing was sent; a new asking takes the place of the one before
update posts
set draft = $2, object_key = $3, size_bytes = $4, correlation_id = $5, request = $6, updated_at = $7,
    settled = case when settled = 'dropped' then null else settled end,
    asked_at = case when correlation_id = $5 then asked_at else $8 end,
    superseded = case when correlation_id = $5 then superseded else superseded || correlation_id end,
    rendered_again = case when correlation_id = $5 then rendered_again end,
    uploads = case when correlation_id = $5 then uploads else 0 end
where post_id = $1 and session is null and platform_post_id is null
  and state in ('draft', 'scheduled', 'waiting', 'claimed', 'failed')
  and (settled is distinct from 'dropped' or correlation_id <> $5);

-- name: renew_dropped :exec  A new wish for a post that was given up and may be there: what was sent stays known
update posts
set correlation_id = $2, request = $3, updated_at = $4, asked_at = $5, settled = null,
    superseded = superseded || correlation_id
where post_id = $1 and settled = 'dropped' and correlation_id <> $2 and state not in ('published', 'removed')
  and (session is not null or platform_post_id is not null);

-- name: claim :exec
update posts
set account_id = $2, because = '', next_action = '', updated_at = $3,
    state = case when session is null then 'claimed' when state in ('unconfirmed', 'processing') then state
                 else 'uploading' end
where post_id = $1 and state <> 'published';

-- name: release_account :exec  A post of the same item of which nothing was sent makes room for the one that goes now
update posts set account_id = null, updated_at = $4
where item_id = $2 and account_id = $3 and post_id <> $1 and session is null and platform_post_id is null
  and state in ('waiting', 'failed');

-- name: posted_to :one
select post_id, state, url from posts where item_id = $1 and account_id = $2;

-- name: owner_of :val
select post_id from posts where platform = $1 and platform_post_id = $2 and post_id <> $3;

-- name: set_landed :exec  The post stands; what is added to it may take further tries
update posts
set state = 'processing', because = 'its thumbnail and subtitles are added', next_action = 'none: it goes on by itself',
    platform_post_id = $2, url = $3, privacy = $4, published_at = $5, updated_at = $5
where post_id = $1;

-- name: set_draft :exec
update posts set draft = $2, updated_at = $3 where post_id = $1 and session is null;

-- name: store_session :exec  Before a byte is sent
update posts
set session = $2, session_at = $3, state = 'uploading', because = '', next_action = '', updated_at = $3,
    uploads = uploads + 1
where post_id = $1;

-- name: update_session :exec
update posts set session = $2, updated_at = $3 where post_id = $1;

-- name: drop_session :exec  The session made no video and never will
update posts set session = null, session_at = null, state = 'claimed', because = $2, next_action = '', updated_at = $3
where post_id = $1;

-- name: set_state :exec
update posts set state = $2, because = $3, next_action = $4, updated_at = $5
where post_id = $1 and state <> 'published';

-- name: explain :exec
update posts set because = $2, next_action = $3, updated_at = $4 where post_id = $1 and state <> 'published';

-- name: set_waiting :exec  The post stays its account's; one that was disconnected keeps only what it was sent
update posts
set state = 'waiting', because = $2, next_action = $3, updated_at = $4,
    account_id = case when session is not null then account_id
                      else (select a.account_id from accounts a
                            where a.account_id = posts.account_id and a.state <> 'disconnected') end
where post_id = $1 and state <> 'published';

-- name: set_published :val  Returns since when it stands
update posts
set state = 'published', platform_post_id = $2, url = $3, privacy = $4, because = $5, next_action = $7, session = null,
    published_at = coalesce(published_at, $6), updated_at = $6,
    settled = case when settled = 'dropped' then null else settled end
where post_id = $1
returning published_at;

-- name: serialise_waiting :exec  Going to wait and looking for who waits exclude each other, per platform
select pg_advisory_xact_lock(hashtextextended('publisher.waiting.' || $1::text, 0));

-- name: list_accounts :many
select account_id, state, state_because, paused_at, paused_because from accounts where platform = $1 order by account_id;

-- name: list_waiting :many  Oldest first; what nothing was sent of does not wait for an account that was disconnected
select p.post_id, p.correlation_id, p.request
from posts p left join accounts a on a.account_id = p.account_id and (a.state <> 'disconnected' or p.session is not null)
where p.platform = $1 and p.state = 'waiting'
  and coalesce(a.account_id, p.request -> 'destination' ->> 'account_id', $2) = $2
order by p.intent_at, p.post_id;

-- name: rendered_from :one  What the same bytes were rendered from last; none: they were made elsewhere
select plan_id, item_id, plan, rendition from renditions where rendition ->> 'sha256' = $1 order by started_at desc, plan_id limit 1;

-- name: probed :val  What decoding showed of the same bytes
select probe from (
    select probe from probes where sha256 = $1
    union all
    select probe from assets where sha256 = $1 and probe is not null
) as known limit 1;

-- name: put_probe :exec
insert into probes (sha256, probe, read_at) values ($1, $2, $3) on conflict (sha256) do nothing;

-- name: fetched_as :many  The rights under which the same bytes were fetched as a source
select rights from assets where sha256 = $1 and role = 'source' order by item_id;

-- name: note_standing :val  How a post was seen to stand at $5, also one that was removed; returns what was said of it
-- before, null: something newer is known. What a person was to do, or did, about it is over when it is taken down or
-- comes back
update posts p
set state = $2, because = $3, updated_at = $4, next_action = case when p.state = $2 then p.next_action else '' end,
    settled = case when p.state = $2 then p.settled end, standing_at = $5
from posts before
where p.post_id = $1 and before.post_id = p.post_id and p.state in ('published', 'removed')
  and (p.standing_at is null or p.standing_at <= $5)
returning before.because;

-- name: note_back :exec  Beside the reason of a pause that this very post brought about
update accounts set paused_because = paused_because || $3
where account_id = $1 and paused_at is not null and paused_because = $2;

-- name: pause_account :val  True: it was not paused before
update accounts set paused_at = $3, paused_because = $2 where account_id = $1 and paused_at is null
returning true;

-- name: ask_anew :exec  The platform does not take the file as it is; another is made of the same plan
update posts set state = 'waiting', because = $2, next_action = $3, rendered_again = $4, updated_at = $5
where post_id = $1;

-- name: settle :exec  A person's word on a post whose outcome is not known, or that is given up
update posts
set settled = $2, settled_at = $6, state = $3, because = $4, next_action = $5, updated_at = $6,
    session = case when $2 = 'absent' then null else session end,
    session_at = case when $2 = 'absent' then null else session_at end
where post_id = $1;

-- name: list_posts :many  Newest first
select post_id, item_id, platform, account_id, state, because, next_action, draft ->> 'title' as title, url, updated_at
from posts where ($1::text is null or state = $1)
order by updated_at desc, post_id limit $2;

-- name: show_post :one
select post_id, item_id, platform, account_id, state, because, next_action, draft, object_key, size_bytes,
       platform_post_id, url, privacy, correlation_id, settled, settled_at, rendered_again, intent_at, session_at,
       published_at, updated_at, request, session is not null as upload_begun,
       (select plan -> 'chosen' from renditions
        where rendition ->> 'sha256' = substring(posts.object_key from '([^/.]+)[.][^/.]*$')
        order by started_at desc, plan_id limit 1) as chosen
from posts where post_id = $1;

-- name: like_id :many  Posts whose id begins so
select post_id from posts where starts_with(post_id, $1) order by post_id limit 2;

-- name: dress_of :one  What was to be added to the post, as the same asking said before
select request ->> 'thumbnail_key' as thumbnail_key, request ->> 'subtitles_key' as subtitles_key
from posts where post_id = $1 and correlation_id = $2;

-- name: state_of :val
select state from posts where post_id = $1;

-- name: landed_at :val  Since when only additions are missing; null: it is not noted
select published_at from posts where post_id = $1;

-- name: changed_at :val
select updated_at from posts where post_id = $1 for update;

-- name: niche_of :val  Null: it is not known, as of a file that a person posts
select niche from items where item_id = $1;

-- The ledger's own statements.

-- name: is_settled :val  Whether a consumer has finished with an event
select exists (select from inbox where consumer = $1 and event_id = $2);

-- name: take_inbox :val  Claim the right to finish an event; null when it is finished already
insert into inbox (consumer, event_id, outcome) values ($1, $2, $3)
on conflict do nothing
returning true;

-- name: take_inbox_many :many  Claim the right to finish several events; those finished already are left out
insert into inbox (consumer, event_id, outcome) select $1, given, $3 from unnest($2::text[]) given
on conflict do nothing
returning event_id;

-- name: clear_attempts_many :exec
delete from attempts where consumer = $1 and event_id = any($2::text[]);

-- name: clear_attempts :exec  Forget the trouble with an event that is now finished
delete from attempts where consumer = $1 and event_id = $2;

-- name: note_redelivery :one  Count a delivery whose end is not yet known
insert into attempts (consumer, event_id, unsettled) values ($1, $2, 1)
on conflict (consumer, event_id) do update set unsettled = attempts.unsettled + 1, updated_at = now()
returning failures, unsettled;

-- name: note_snooze :exec  The delivery ended without failure
update attempts set unsettled = greatest(unsettled - 1, 0), updated_at = now() where consumer = $1 and event_id = $2;

-- name: note_failure :val  The delivery ended with a failure
insert into attempts (consumer, event_id, failures, last_error) values ($1, $2, 1, $3)
on conflict (consumer, event_id) do update
set failures = attempts.failures + 1, unsettled = greatest(attempts.unsettled - 1, 0),
    last_error = excluded.last_error, updated_at = now()
returning failures;

-- name: put_outbox :exec  Leave an event for the relay
insert into outbox (sender, message_id, subject, payload, correlation_id) values ($1, $2, $3, $4, $5)
on conflict (message_id) do nothing;

-- name: claim_outbox :many  The oldest events that wait, locked against other replicas
select id, message_id, subject, payload from outbox
where sender = $1 and published_at is null
order by id limit $2
for update skip locked;

-- name: mark_published :exec  Those events are in the stream
update outbox set published_at = now() where id = any($1::bigint[]);

-- name: prune_outbox :exec  Forget what was published long ago
delete from outbox where sender = $1 and published_at < now() - $2::interval;

-- name: prune_inbox :exec  Forget what the stream itself has forgotten
delete from inbox where handled_at < now() - $1::interval;

-- name: take_lease :val  Take a free or expired lease; null while another holds it
insert into leases (name, holder, fence, expires_at)
values ($1, $2, 1, now() + make_interval(secs => $3))
on conflict (name) do update
set holder = excluded.holder, fence = leases.fence + 1, expires_at = excluded.expires_at
where leases.expires_at <= now()
returning fence;

-- name: renew_lease :val  Keep a lease that is still ours; null when it is lost
update leases set expires_at = now() + make_interval(secs => $4)
where name = $1 and holder = $2 and fence = $3
returning true;

-- name: hold_lease :val  Lock the lease row until the commit; null when it is lost
select true from leases where name = $1 and holder = $2 and fence = $3 for update;

-- name: free_lease :exec  Give a lease back; its fence stays
update leases set expires_at = now() where name = $1 and holder = $2 and fence = $3;

-- name: bury :val  Record an event that ended without success
insert into dead_letters (kind, consumer, event_id, subject, payload, error, trace, failures, correlation_id, item_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (consumer, event_id) where state = 'open' do nothing
returning id;

-- name: list_dead :many  Newest first
select id, kind, consumer, event_id, subject, error, failures, state, created_at from dead_letters
where $1::text is null or state = $1
order by id desc limit $2;

-- name: show_dead :one
select id, kind, consumer, event_id, subject, payload, error, trace, failures, state, created_at, settled_at
from dead_letters where id = $1;

-- name: settle_dead :one  Close an open dead letter
update dead_letters set state = $2, settled_at = now()
where id = $1 and state = 'open'
returning consumer, event_id, subject, payload, correlation_id;

-- name: forget_inbox :exec  Let a consumer handle an event again
delete from inbox where consumer = $1 and event_id = $2;

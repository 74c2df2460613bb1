-- Posts of several accounts, their states, and accounts that are paused.

alter table posts drop constraint posts_item_id_platform_key;
alter table posts drop constraint posts_state_check;
alter table posts add constraint posts_state_check check (state in
    ('draft', 'scheduled', 'waiting', 'claimed', 'uploading', 'processing', 'published', 'unconfirmed', 'failed', 'removed'));
create unique index posts_once on posts (item_id, account_id) where account_id is not null;
comment on index posts_once is 'One item is posted once to one account, whether the account was named or chosen.';

alter table accounts add column paused_at timestamptz;
alter table accounts add column paused_because text not null default '';
comment on column accounts.paused_at is 'Nothing is posted to it until a person resumes it; null: it is not paused.';

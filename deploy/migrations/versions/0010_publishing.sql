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

alter table posts add column settled text check (settled in ('url', 'absent', 'dropped'));
alter table posts add column settled_at timestamptz;
alter table posts add column rendered_again text;
alter table posts add column asked_at timestamptz;
alter table posts add column superseded text[] not null default '{}';
comment on column posts.settled is 'What a person decided: url, it is there; absent, it is not; dropped, it is given up. Null: nothing.';
comment on column posts.rendered_again is 'The plan that was asked for because the platform does not take the first; null: none was.';
comment on column posts.asked_at is 'When its asking (correlation_id) happened: an older one does not take its place.';
comment on column posts.superseded is 'Correlations of the askings whose place a newer one took: what comes of them late changes nothing.';

create table post_slots (
    item_id     text        not null,
    platform    text        not null,
    account_id  text        not null default '',
    reserved_at timestamptz not null,
    primary key (item_id, platform, account_id)
);
comment on table post_slots is 'Room among the posts of a day, kept before a video is rendered and given back when its post has ended.';
comment on column post_slots.account_id is 'Empty: the account that is connected.';

create table probes (
    sha256  text        primary key,
    probe   jsonb       not null,
    read_at timestamptz not null
);
comment on table probes is 'What decoding showed of files that were neither fetched nor rendered here, by their content.';

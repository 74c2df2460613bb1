-- What connecting accounts keeps.

alter table accounts add column refresh_began_at timestamptz;
comment on column accounts.refresh_began_at is
    'A refresh of these tokens was begun then and its answer is not stored: the platform may have used up the refresh token.';
alter table accounts add column url text;
alter table accounts add column picture bytea;
comment on column accounts.picture is 'Picture of the account, a small PNG, JPEG, WebP or GIF; null: none.';

create table oauth_clients (
    platform      text        not null,
    server        text        not null,
    redirect_uri  text        not null,
    client        bytea       not null,
    registered_at timestamptz not null default now(),
    primary key (platform, server, redirect_uri)
);
comment on table oauth_clients is 'This system as servers know it that applications register at, such as those of Mastodon. client is encrypted.';

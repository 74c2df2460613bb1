-- What became of posts, and more of their numbers.
select 1;

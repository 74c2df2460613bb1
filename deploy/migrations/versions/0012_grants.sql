-- What connecting accounts keeps.
select 1;

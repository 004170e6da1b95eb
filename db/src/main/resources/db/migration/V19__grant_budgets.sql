-- Budgets of grants: how much of a window is used (model tokens, bytes), and how much may be open at once (streams).
-- A grant that nobody uses has no row.

-- What is used of the window that began at "since". Of what has no window, streams, "used" stays 0: all of it is leased.
CREATE TABLE grant_budget (
  grant_name  text NOT NULL,
  budget      text NOT NULL,
  since       timestamptz NOT NULL,
  used        bigint NOT NULL CHECK (used >= 0),
  at          timestamptz NOT NULL,
  PRIMARY KEY (grant_name, budget)
) WITH (fillfactor = 50);

-- What a replica may use without asking again: "held", until a time after which it is everybody's again, so nothing is
-- lost with a replica that dies. "said" is how much it has used since it began, or how many streams it has open.
CREATE TABLE grant_budget_lease (
  grant_name  text NOT NULL,
  budget      text NOT NULL,
  holder      uuid NOT NULL,
  held        bigint NOT NULL CHECK (held >= 0),
  said        bigint NOT NULL CHECK (said >= 0),
  until       timestamptz NOT NULL,
  PRIMARY KEY (grant_name, budget, holder)
) WITH (fillfactor = 50);

-- Charges what one replica has used and leases it a portion. A replica says its whole use since it began ("total"), not
-- what came on top, so that nothing is charged twice when an answer is lost; "heard" is the total of the last answer that
-- it heard, for when its row is gone. Windows are whole hours or days of this database's clock, in UTC; "seconds" is 0 for
-- what has no window, where "total" is what is open now. "want" is the least it would like to have, 0 for nothing; with
-- "more" it gets half of its even share while much is left. A lease ends two seconds after the replica thinks so.
CREATE FUNCTION grant_budget_take(of_grant text, of_budget text, by_holder uuid, most bigint, seconds int,
                                  total bigint, heard bigint, want bigint, more boolean, sharers int,
                                  OUT given bigint, OUT ends_in double precision)
  LANGUAGE plpgsql SET search_path = ${flyway:defaultSchema}, pg_temp AS $$
DECLARE
  row_of grant_budget;
  mine grant_budget_lease;
  moment timestamptz;
  start timestamptz;
  so_far bigint;
  others bigint;
  open_here bigint := 0;
  room bigint;
BEGIN
  LOOP
    SELECT * INTO row_of FROM grant_budget b WHERE b.grant_name = of_grant AND b.budget = of_budget FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO grant_budget (grant_name, budget, since, used, at)
      VALUES (of_grant, of_budget, 'epoch', 0, clock_timestamp()) ON CONFLICT DO NOTHING;
  END LOOP;
  moment := clock_timestamp();
  SELECT * INTO mine FROM grant_budget_lease l
    WHERE l.grant_name = of_grant AND l.budget = of_budget AND l.holder = by_holder;
  IF seconds = 0 THEN
    start := row_of.since;
    so_far := 0;
    open_here := total;
    ends_in := 0;
  ELSE
    start := to_timestamp(floor(extract(epoch FROM moment) / seconds) * seconds);
    so_far := CASE WHEN start = row_of.since THEN row_of.used ELSE 0 END;
    so_far := least(so_far + greatest(0, total - coalesce(mine.said, heard)), 1000000000000000);
    ends_in := extract(epoch FROM start - moment) + seconds;
  END IF;
  SELECT coalesce(sum(l.held), 0) INTO others FROM grant_budget_lease l
    WHERE l.grant_name = of_grant AND l.budget = of_budget AND l.holder <> by_holder AND l.until > moment;
  room := greatest(0, most - so_far - others - open_here);
  given := open_here + CASE
    WHEN want = 0 THEN 0
    WHEN more THEN least(room, greatest(want, room / (2 * greatest(sharers, 1))))
    ELSE least(room, want) END;
  INSERT INTO grant_budget_lease (grant_name, budget, holder, held, said, until)
    VALUES (of_grant, of_budget, by_holder, given, total, moment + interval '17 seconds')
    ON CONFLICT (grant_name, budget, holder)
    DO UPDATE SET held = excluded.held, said = excluded.said, until = excluded.until;
  UPDATE grant_budget SET since = start, used = so_far, at = moment
    WHERE grant_name = of_grant AND budget = of_budget;
END $$;

REVOKE ALL ON FUNCTION grant_budget_take(text, text, uuid, bigint, int, bigint, bigint, bigint, boolean, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION grant_budget_take(text, text, uuid, bigint, int, bigint, bigint, bigint, boolean, int) TO ${appRole};
GRANT SELECT, INSERT, UPDATE, DELETE ON grant_budget, grant_budget_lease TO ${appRole};

-- Once, as an administrator. MySQL and MariaDB leave the sessions of a dropped user open; this ends them.
CREATE DATABASE IF NOT EXISTS valetkey;
DROP PROCEDURE IF EXISTS valetkey.valetkey_end_sessions;
DELIMITER //
CREATE PROCEDURE valetkey.valetkey_end_sessions(IN login VARCHAR(128))
  SQL SECURITY DEFINER
BEGIN
  DECLARE done BOOLEAN DEFAULT FALSE;
  DECLARE session BIGINT UNSIGNED;
  DECLARE sessions CURSOR FOR SELECT id FROM information_schema.processlist WHERE user = login;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
  DECLARE CONTINUE HANDLER FOR 1094 BEGIN END; -- It ended by itself meanwhile.
  OPEN sessions;
  next_session: LOOP
    FETCH sessions INTO session;
    IF done THEN
      LEAVE next_session;
    END IF;
    KILL CONNECTION session;
  END LOOP;
  CLOSE sessions;
END //
DELIMITER ;

DROP USER IF EXISTS '{{name}}'@'%';
CALL valetkey.valetkey_end_sessions('{{name}}');

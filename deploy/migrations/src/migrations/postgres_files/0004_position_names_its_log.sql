-- A position is (log, partition, offset): `source_log` is the short name of the topic's id, which Kafka makes anew
-- with the topic. What was written before says t00000000: not known.

-- The newest version of a pin is the one with the greatest number; `stream_positions.lead` carries the count on.
ALTER TABLE pins ADD COLUMN source_log text NOT NULL DEFAULT 't00000000', ADD COLUMN version bigint;
UPDATE pins SET version = (extract(epoch FROM event_time) * 1000000)::bigint;
ALTER TABLE pins ALTER COLUMN version SET NOT NULL;

-- Records of several logs may stand here at one offset, told apart by their times: a name for each such log.
ALTER TABLE rejected_pins ADD COLUMN source_log text NOT NULL DEFAULT 't00000000';
UPDATE rejected_pins AS old SET source_log = 't' || lpad(to_hex(number - 1), 8, '0')
    FROM (SELECT source_partition, source_offset, event_time, row_number()
            OVER (PARTITION BY source_partition, source_offset ORDER BY event_time DESC) AS number
        FROM rejected_pins) AS numbered
    WHERE number > 1 AND (old.source_partition, old.source_offset, old.event_time)
        = (numbered.source_partition, numbered.source_offset, numbered.event_time);
ALTER TABLE rejected_pins
    DROP CONSTRAINT rejected_pins_pkey,
    ADD PRIMARY KEY (source_log, source_partition, source_offset);

ALTER TABLE late_pins ADD COLUMN source_log text NOT NULL DEFAULT 't00000000';
UPDATE late_pins AS old SET source_log = 't' || lpad(to_hex(number - 1), 8, '0')
    FROM (SELECT source_partition, source_offset, event_time, row_number()
            OVER (PARTITION BY source_partition, source_offset ORDER BY event_time DESC) AS number
        FROM late_pins) AS numbered
    WHERE number > 1 AND (old.source_partition, old.source_offset, old.event_time)
        = (numbered.source_partition, numbered.source_offset, numbered.event_time);
ALTER TABLE late_pins
    DROP CONSTRAINT late_pins_pkey,
    ADD PRIMARY KEY (source_log, source_partition, source_offset);

ALTER TABLE stream_positions ADD COLUMN source_log text NOT NULL DEFAULT 't00000000', ADD COLUMN lead bigint;
UPDATE stream_positions SET lead = (extract(epoch FROM event_time) * 1000000)::bigint - source_offset;
ALTER TABLE stream_positions ALTER COLUMN lead SET NOT NULL;

ALTER TABLE stream_staging ADD COLUMN source_log text;

ALTER TABLE pins ALTER COLUMN source_log DROP DEFAULT;
ALTER TABLE rejected_pins ALTER COLUMN source_log DROP DEFAULT;
ALTER TABLE late_pins ALTER COLUMN source_log DROP DEFAULT;
ALTER TABLE stream_positions ALTER COLUMN source_log DROP DEFAULT;

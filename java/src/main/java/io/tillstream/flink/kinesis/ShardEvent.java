package io.tillstream.flink.kinesis;

import java.util.ArrayList;
import java.util.Collection;
import org.apache.flink.api.connector.source.SourceEvent;

/** A reader's word about shards it has: that it reads them, or has read them to their ends. */
final class ShardEvent implements SourceEvent {
    private static final long serialVersionUID = 1L;

    final ArrayList<String> ids;
    final boolean atTheirEnds;

    ShardEvent(Collection<String> ids, boolean atTheirEnds) {
        this.ids = new ArrayList<>(ids);
        this.atTheirEnds = atTheirEnds;
    }
}

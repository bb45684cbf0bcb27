package io.tillstream.flink;

import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.types.Row;

/** Lets nothing pass. */
public final class Never implements FilterFunction<Row> {
    private static final long serialVersionUID = 1L;

    @Override
    public boolean filter(Row row) {
        return false;
    }
}

package io.tillstream.flink;

import org.apache.flink.api.common.functions.FilterFunction;

/** Lets no record pass. */
public final class Nothing implements FilterFunction<Object> {
    private static final long serialVersionUID = 1L;

    @Override
    public boolean filter(Object record) {
        return false;
    }
}

package io.tillstream.flink;

import org.apache.flink.api.common.functions.FilterFunction;

/** Lets no record pass: for a second input that is not needed. */
public final class DropAll implements FilterFunction<Object> {
    private static final long serialVersionUID = 1L;

    @Override
    public boolean filter(Object record) {
        return false;
    }
}

package io.tillstream.flink;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.operators.ChainingStrategy;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.transformations.PhysicalTransformation;

/** How operators of our own are put into a job, said in types so that the compiler checks it. */
public final class Wiring {
    private Wiring() {}

    /** Runs in one thread with what is before it, or, {@code apart}, begins a chain of its own. */
    public static <T> SingleOutputStreamOperator<T> chained(
            SingleOutputStreamOperator<T> made, boolean apart) {
        ((PhysicalTransformation<T>) made.getTransformation())
                .setChainingStrategy(apart ? ChainingStrategy.HEAD : ChainingStrategy.ALWAYS);
        return made;
    }

    /** {@code operator} over {@code records}, each subtask of it sees all of {@code control}. */
    public static <A, B, T> SingleOutputStreamOperator<T> withControl(
            DataStream<A> records,
            DataStream<B> control,
            String name,
            TypeInformation<T> type,
            TwoInputStreamOperator<A, B, T> operator) {
        return records.connect(control.broadcast()).transform(name, type, operator);
    }
}

package io.tillstream.flink;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.operators.ChainingStrategy;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperatorFactory;
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

    /** {@code operator} of Python over {@code records}, each subtask of it sees all of {@code control}. */
    public static <A, B, T> SingleOutputStreamOperator<T> withControl(
            DataStream<A> records,
            DataStream<B> control,
            String name,
            TypeInformation<T> type,
            TwoInputStreamOperator<A, B, T> operator) {
        TwoInputStreamOperatorFactory<A, B, T> factory = new PythonFactory<A, B, T>(operator);
        return records.connect(control.broadcast()).transform(name, type, factory);
    }

    /** {@code operator} of PyFlink's over {@code records}. */
    public static <A, T> SingleOutputStreamOperator<T> python(
            DataStream<A> records,
            String name,
            TypeInformation<T> type,
            OneInputStreamOperator<A, T> operator) {
        OneInputStreamOperatorFactory<A, T> factory = new PythonFactory<A, Void, T>(operator);
        return records.transform(name, type, factory);
    }
}

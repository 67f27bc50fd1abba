"""What Python programs use to tell of themselves, writing the like of our events into a file.

    ingest_peers.py logging|opentelemetry COUNT FILE

Prints the seconds it took, without the start of the interpreter.
"""

import json
import logging
import sys
import time


def attributes(number):
    return {
        "session_id": f"ses_{number % 64:08}",
        "model": "claude-opus-4-6",
        "provider": "anthropic",
        "tokens_in": number % 9000,
        "tokens_out": number % 700,
        "tokens_cache_read": 18234,
        "tokens_cache_write": 120,
        "tokens_total": 18354 + number % 9700,
        "duration_ms": 4210,
        "cost_usd": 0.0421,
        "call_id": f"call_{number:08}",
    }


def with_logging(count, file):
    class Json(logging.Formatter):
        def format(self, record):
            return json.dumps({"ts": record.created, "event": record.msg, **record.fields})

    handler = logging.FileHandler(file)
    handler.setFormatter(Json())
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    began = time.perf_counter()
    for number in range(count):
        logger.info("llm_call", extra={"fields": attributes(number)})
    handler.close()
    return time.perf_counter() - began


def with_opentelemetry(count, file):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    with open(file, "w") as out:
        exporter = ConsoleSpanExporter(out=out, formatter=lambda span: span.to_json(indent=None) + "\n")
        provider = TracerProvider()
        # A queue that takes all of them: what does not fit into it would be dropped, not delayed.
        provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=count, max_export_batch_size=512))
        tracer = provider.get_tracer("bench")

        began = time.perf_counter()
        for number in range(count):
            tracer.start_span("llm_call", attributes=attributes(number)).end()
        provider.force_flush(600_000)
        took = time.perf_counter() - began
        provider.shutdown()
    return took


mode, count, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print(with_logging(count, file) if mode == "logging" else with_opentelemetry(count, file))

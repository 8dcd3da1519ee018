// Prints the predictions of an exported model for events of a plain binary file.
//
//   xec_predict MODEL EVENTS [--batch N] [--threads N] [--workers N] [--repeat N] [--output FILE]
//
// EVENTS holds float32 numbers: for each event 4760 photon counts, then 4760 times in seconds, then, if the model asks
// for it, 4760 numbers that are not 0 where a sensor is dead. Each line of the answer is an event; nine digits are all
// that a float32 has. With --output the answer is a file of float32 numbers, event by event.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "xec_model.h"

namespace {

struct Options {
  std::string model;
  std::string events;
  std::string output;
  std::size_t batch = 8;
  std::size_t threads = 1;
  std::size_t workers = 1;
  std::size_t repeat = 1;
};

std::size_t whole_number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || number < 1) throw xec::Error(name + " " + text + ": expected 1 or more.");
  return static_cast<std::size_t>(number);
}

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  std::vector<std::string> places;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word.rfind("--", 0) != 0) {
      places.push_back(word);
      continue;
    }
    if (word == "--output" && i + 1 < arguments.size()) {
      options.output = arguments[++i];
      continue;
    }
    std::size_t* wanted = word == "--batch"     ? &options.batch
                          : word == "--threads" ? &options.threads
                          : word == "--workers" ? &options.workers
                          : word == "--repeat"  ? &options.repeat
                                                : nullptr;
    if (wanted == nullptr && word != "--output") {
      throw xec::Error("unknown option " + word + "; there are --batch, --threads, --workers, --repeat, --output.");
    }
    if (++i == arguments.size()) throw xec::Error(word + (wanted ? " needs a number." : " needs a file."));
    *wanted = whole_number(word, arguments[i]);
  }
  if (places.size() != 2) {
    throw xec::Error("usage: xec_predict MODEL EVENTS [--batch N] [--threads N] [--workers N] [--repeat N] "
                     "[--output FILE]");
  }
  options.model = places[0];
  options.events = places[1];
  return options;
}

std::vector<float> read_events(const std::string& path, std::size_t numbers_per_event) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw xec::Error(path + ": cannot be read.");
  const auto bytes = static_cast<std::size_t>(file.tellg());
  const std::size_t per_event = numbers_per_event * sizeof(float);
  if (bytes == 0 || bytes % per_event != 0) {
    throw xec::Error(path + ": " + std::to_string(bytes) + " bytes, expected a multiple of " +
                     std::to_string(per_event) + ", which an event of this model has.");
  }
  std::vector<float> numbers(bytes / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(bytes));
  return numbers;
}

// Predicts events from one to another (exclusive), and stores what the model says of each, one output after another.
void predict(const xec::Model& model, const std::vector<float>& events, std::size_t from, std::size_t to,
             const Options& options, std::vector<float>& answers) {
  const std::size_t arrays = model.takes_dead() ? 3 : 2;
  xec::Batch batch(model, options.batch);
  for (std::size_t first = from; first < to; first += options.batch) {
    const std::size_t count = std::min(options.batch, to - first);
    for (std::size_t event = 0; event < count; ++event) {
      const float* numbers = &events[(first + event) * arrays * xec::kNumSensors];
      std::copy_n(numbers, xec::kNumSensors, batch.npho(event));
      std::copy_n(numbers + xec::kNumSensors, xec::kNumSensors, batch.time(event));
      if (arrays == 3) {
        std::transform(numbers + 2 * xec::kNumSensors, numbers + 3 * xec::kNumSensors, batch.dead(event),
                       [](float flag) { return flag != 0.0f; });
      }
    }
    for (std::size_t time = 0; time < options.repeat; ++time) model.run(batch, count);
    const std::size_t width = answers.size() / (events.size() / (arrays * xec::kNumSensors));
    for (std::size_t event = 0; event < count; ++event) {
      float* answer = &answers[(first + event) * width];
      for (std::size_t output = 0; output < model.outputs().size(); ++output) {
        answer = std::copy_n(batch.output(output, event), model.outputs()[output].width, answer);
      }
    }
  }
}

// Shares the events among threads, which share the model; the first exception of any is thrown again.
void predict_in_threads(const xec::Model& model, const std::vector<float>& events, std::size_t num_events,
                        const Options& options, std::vector<float>& answers) {
  std::exception_ptr failure;
  std::mutex lock;
  std::vector<std::thread> threads;
  for (std::size_t worker = 0; worker < options.workers; ++worker) {
    threads.emplace_back([&, worker] {
      try {
        predict(model, events, num_events * worker / options.workers, num_events * (worker + 1) / options.workers,
                options, answers);
      } catch (...) {
        const std::lock_guard<std::mutex> guard(lock);
        failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

void print_header(const xec::Model& model) {
  for (const xec::Output& output : model.outputs()) {
    for (std::size_t component = 0; component < output.width; ++component) {
      const bool named = output.labels.size() == output.width && output.width > 1;
      std::printf("%s%s%s[%s] ", output.name.c_str(), named ? "." : "",
                  named ? output.labels[component].c_str() : "", output.unit.c_str());
    }
  }
  std::printf("\n");
}

void print(const xec::Model& model, const std::vector<float>& answers, std::size_t num_events) {
  print_header(model);
  const std::size_t width = answers.size() / num_events;
  for (std::size_t event = 0; event < num_events; ++event) {
    for (std::size_t i = 0; i < width; ++i) std::printf("%.9g ", static_cast<double>(answers[event * width + i]));
    std::printf("\n");
  }
}

void save(const std::string& path, const std::vector<float>& answers) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(answers.data()),
             static_cast<std::streamsize>(answers.size() * sizeof(float)));
  if (!file.flush()) throw xec::Error(path + ": cannot be written.");
}

// The runtime takes its memory and lays out the weights in its first run.
void warm_up(const xec::Model& model, std::size_t num_events) {
  xec::Batch batch(model, num_events);
  model.run(batch, num_events);
}

void run(const Options& options) {
  const xec::Model model(options.model, static_cast<int>(options.threads));
  const std::size_t numbers_per_event = (model.takes_dead() ? 3 : 2) * xec::kNumSensors;
  const std::vector<float> events = read_events(options.events, numbers_per_event);
  const std::size_t num_events = events.size() / numbers_per_event;
  std::size_t width = 0;
  for (const xec::Output& output : model.outputs()) width += output.width;
  std::vector<float> answers(num_events * width);
  warm_up(model, std::min(options.batch, num_events));
  const auto start = std::chrono::steady_clock::now();
  predict_in_threads(model, events, num_events, options, answers);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.output.empty()) {
    print(model, answers, num_events);
  } else {
    save(options.output, answers);
  }
  std::fprintf(stderr, "%.6g events/s\n", static_cast<double>(num_events * options.repeat) / seconds.count());
}

}  // namespace

int main(int count, char** words) {
  try {
    run(parse(std::vector<std::string>(words + 1, words + count)));
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
  return 0;
}

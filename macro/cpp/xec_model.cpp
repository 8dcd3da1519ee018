#include "xec_model.h"

#include <array>
#include <cstdint>
#include <sstream>

#include "onnxruntime_entries.h"

namespace xec {
namespace {

constexpr char kFormat[] = "3";
constexpr std::int64_t kFreeSize = -1;
constexpr std::size_t kMaxInputs = 3;

const OrtApi& api() {
  static const OrtApi* const table = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (table == nullptr) {
    throw Error("ONNX Runtime " + Model::runtime_version() + " is older than the header that this program was built "
                "with (version " + std::to_string(ORT_API_VERSION) + " of its interface). Link a newer library.");
  }
  return *table;
}

// Every call of the runtime answers with a status that is null when all is well.
void check(OrtStatus* status, const std::string& what) {
  if (status == nullptr) return;
  const std::string cause = api().GetErrorMessage(status);
  api().ReleaseStatus(status);
  throw Error(what + ": " + cause);
}

struct Release {
  void operator()(OrtEnv* it) const { api().ReleaseEnv(it); }
  void operator()(OrtMemoryInfo* it) const { api().ReleaseMemoryInfo(it); }
  void operator()(OrtModelMetadata* it) const { api().ReleaseModelMetadata(it); }
  void operator()(OrtSession* it) const { api().ReleaseSession(it); }
  void operator()(OrtSessionOptions* it) const { api().ReleaseSessionOptions(it); }
  void operator()(OrtTypeInfo* it) const { api().ReleaseTypeInfo(it); }
  void operator()(OrtValue* it) const { api().ReleaseValue(it); }
};

template <class T>
using Owned = std::unique_ptr<T, Release>;

// Calls a function of the runtime that creates an object through its last argument.
template <class T, class Function, class... Arguments>
Owned<T> create(const std::string& what, Function function, Arguments... arguments) {
  T* made = nullptr;
  check(function(arguments..., &made), what);
  return Owned<T>(made);
}

// Copies a text that the runtime allocated; empty where there is none.
std::string take_text(OrtAllocator* allocator, char* text) {
  if (text == nullptr) return "";
  const std::string copy = text;
  check(api().AllocatorFree(allocator, text), "freeing a text");
  return copy;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

struct Signature {
  std::string name;
  ONNXTensorElementDataType type;
  std::vector<std::int64_t> shape;  // the first is the free batch size
};

Signature signature_of(std::string name, const OrtTypeInfo* info) {
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  check(api().CastTypeInfoToTensorInfo(info, &tensor), name);
  if (tensor == nullptr) throw Error(name + ": is no tensor. Export the model again.");
  Signature signature{std::move(name), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {}};
  check(api().GetTensorElementType(tensor, &signature.type), signature.name);
  std::size_t rank = 0;
  check(api().GetDimensionsCount(tensor, &rank), signature.name);
  signature.shape.resize(rank);
  check(api().GetDimensions(tensor, signature.shape.data(), rank), signature.name);
  return signature;
}

std::size_t numbers_per_event(const Signature& signature, const std::string& path) {
  std::size_t numbers = 1;
  for (std::size_t axis = 1; axis < signature.shape.size(); ++axis) {
    if (signature.shape[axis] < 1) {
      throw Error(path + ": output '" + signature.name + "' has a size that is not fixed. Export the model again.");
    }
    numbers *= static_cast<std::size_t>(signature.shape[axis]);
  }
  return numbers;
}

}  // namespace

struct Model::Session {
  std::string path;
  Owned<OrtEnv> environment;
  Owned<OrtSession> session;
  Owned<OrtModelMetadata> metadata;
  Owned<OrtMemoryInfo> memory;
  OrtAllocator* allocator = nullptr;  // the runtime's own, never released
  std::vector<Signature> inputs;
  std::vector<Signature> results;
  std::vector<Output> outputs;

  void open(int num_threads);
  std::string property(const std::string& key) const;
  void read_signatures();
  void check_metadata() const;
  void check_inputs() const;
  void describe_outputs();
  std::size_t index(const char* name) const;
};

void Model::Session::open(int num_threads) {
  if (num_threads < 0) throw Error("num_threads is " + std::to_string(num_threads) + ", expected 0 or more.");
  environment = create<OrtEnv>("starting ONNX Runtime", api().CreateEnv, ORT_LOGGING_LEVEL_ERROR, "xec");
  const auto options = create<OrtSessionOptions>("making options", api().CreateSessionOptions);
  check(api().SetIntraOpNumThreads(options.get(), num_threads), "setting the number of threads");
  session = create<OrtSession>(path + ": cannot be loaded", api().CreateSession, environment.get(), path.c_str(),
                               options.get());
  metadata = create<OrtModelMetadata>(path, api().SessionGetModelMetadata, session.get());
  memory = create<OrtMemoryInfo>("describing memory", api().CreateCpuMemoryInfo, OrtDeviceAllocator, OrtMemTypeDefault);
  check(api().GetAllocatorWithDefaultOptions(&allocator), "finding the allocator");
}

std::string Model::Session::property(const std::string& key) const {
  char* text = nullptr;
  check(api().ModelMetadataLookupCustomMetadataMap(metadata.get(), allocator, key.c_str(), &text), path);
  return take_text(allocator, text);
}

void Model::Session::read_signatures() {
  std::size_t count = 0;
  check(api().SessionGetInputCount(session.get(), &count), path);
  for (std::size_t place = 0; place < count; ++place) {
    char* name = nullptr;
    check(api().SessionGetInputName(session.get(), place, allocator, &name), path);
    const auto info = create<OrtTypeInfo>(path, api().SessionGetInputTypeInfo, session.get(), place);
    inputs.push_back(signature_of(take_text(allocator, name), info.get()));
  }
  check(api().SessionGetOutputCount(session.get(), &count), path);
  for (std::size_t place = 0; place < count; ++place) {
    char* name = nullptr;
    check(api().SessionGetOutputName(session.get(), place, allocator, &name), path);
    const auto info = create<OrtTypeInfo>(path, api().SessionGetOutputTypeInfo, session.get(), place);
    results.push_back(signature_of(take_text(allocator, name), info.get()));
  }
}

void Model::Session::check_metadata() const {
  const std::string format = property("xec_format");
  if (format.empty()) {
    throw Error(path + ": an ONNX file without this suite's metadata (no property xec_format). "
                "Export the model with macro/export_onnx.py.");
  }
  if (format != kFormat) {
    throw Error(path + ": metadata of format " + format + ", expected " + kFormat +
                ". Export the model again, or take the C++ code of the same version.");
  }
  if (property("xec_sensor_order") != "sensor_id" || property("xec_num_sensors") != std::to_string(kNumSensors)) {
    throw Error(path + ": made for " + property("xec_num_sensors") + " sensors in the order '" +
                property("xec_sensor_order") + "', expected " + std::to_string(kNumSensors) + " by 'sensor_id'.");
  }
}

void Model::Session::check_inputs() const {
  static const std::array<const char*, kMaxInputs> names{"npho", "time", "dead"};
  static const std::array<const char*, kMaxInputs> units{"npho\tphotons", "time\ts", "dead\tflag"};
  bool known = inputs.size() == 2 || inputs.size() == kMaxInputs;
  const std::vector<std::string> described = split(property("xec_input_table"), '\n');
  known = known && described.size() == inputs.size();
  for (std::size_t place = 0; known && place < inputs.size(); ++place) {
    const auto type = place < 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
    const std::vector<std::int64_t> shape{kFreeSize, static_cast<std::int64_t>(kNumSensors)};
    known = inputs[place].name == names[place] && inputs[place].type == type && inputs[place].shape == shape &&
            described[place] == units[place];
  }
  if (!known) {
    throw Error(path + ": its inputs are not npho in photons and time in s (and dead), each for any number of events "
                "of " + std::to_string(kNumSensors) + " sensors. Export the model again.");
  }
}

void Model::Session::describe_outputs() {
  // Lines of name, role, unit and labels, in the order of the graph: the part of the metadata that needs no JSON.
  const std::vector<std::string> lines = split(property("xec_output_table"), '\n');
  bool consistent = !results.empty() && lines.size() == results.size();
  for (std::size_t place = 0; consistent && place < lines.size(); ++place) {
    const std::vector<std::string> fields = split(lines[place], '\t');
    const Signature& result = results[place];
    consistent = fields.size() == 4 && fields[0] == result.name && result.shape.size() > 1 &&
                 result.type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    if (consistent) {
      const std::size_t width = numbers_per_event(result, path);
      outputs.push_back({fields[0], fields[1], fields[2], split(fields[3], ','), width});
    }
  }
  if (!consistent) throw Error(path + ": its outputs are not those that its metadata describe. Export the model again.");
}

std::size_t Model::Session::index(const char* name) const {
  for (std::size_t place = 0; place < outputs.size(); ++place) {
    if (outputs[place].name == name) return place;
  }
  std::string known;
  for (const Output& output : outputs) known += (known.empty() ? "" : ", ") + output.name;
  throw Error(path + ": has no output '" + name + "'; it has: " + known + ".");
}

Model::Model(const std::string& path, int num_threads) : session_(new Session) {
  session_->path = path;
  session_->open(num_threads);
  session_->check_metadata();
  session_->read_signatures();
  session_->check_inputs();
  session_->describe_outputs();
}

Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

const std::vector<Output>& Model::outputs() const { return session_->outputs; }
std::size_t Model::index(const std::string& name) const { return session_->index(name.c_str()); }
bool Model::takes_dead() const { return session_->inputs.size() == kMaxInputs; }

std::string Model::property(const std::string& key) const {
  std::string text = session_->property(key);
  if (text.empty()) throw Error(session_->path + ": has no property '" + key + "'.");
  return text;
}

std::string Model::runtime_version() { return OrtGetApiBase()->GetVersionString(); }

// The buffers, and the runtime's views of their first n events, made when n comes for the first time.
struct Batch::Tensors {
  const Model::Session* session = nullptr;
  std::size_t capacity = 0;
  std::array<std::vector<float>, 2> readings;
  std::unique_ptr<bool[]> dead;
  std::vector<std::vector<float>> results;
  std::vector<const char*> input_names;
  std::vector<const char*> output_names;

  struct Views {
    std::vector<Owned<OrtValue>> owned;
    std::vector<const OrtValue*> inputs;
    std::vector<OrtValue*> outputs;
  };
  std::vector<Views> views;

  Views& views_of(std::size_t num_events);
  OrtValue* view(Views& views, void* data, const Signature& signature, std::size_t element, std::size_t num_events);
  std::size_t checked(std::size_t event) const;
};

OrtValue* Batch::Tensors::view(Views& views, void* data, const Signature& signature, std::size_t element,
                               std::size_t num_events) {
  std::vector<std::int64_t> shape = signature.shape;
  shape[0] = static_cast<std::int64_t>(num_events);
  std::size_t bytes = element;
  for (const std::int64_t size : shape) bytes *= static_cast<std::size_t>(size);
  views.owned.push_back(create<OrtValue>(signature.name, api().CreateTensorWithDataAsOrtValue, session->memory.get(),
                                         data, bytes, shape.data(), shape.size(), signature.type));
  return views.owned.back().get();
}

Batch::Tensors::Views& Batch::Tensors::views_of(std::size_t num_events) {
  Views& views = this->views[num_events - 1];
  if (!views.owned.empty()) return views;
  Views fresh;  // an exception half-way leaves nothing behind
  const auto& inputs = session->inputs;
  for (std::size_t place = 0; place < 2; ++place) {
    fresh.inputs.push_back(view(fresh, readings[place].data(), inputs[place], sizeof(float), num_events));
  }
  if (dead) fresh.inputs.push_back(view(fresh, dead.get(), inputs[2], sizeof(bool), num_events));
  for (std::size_t place = 0; place < results.size(); ++place) {
    fresh.outputs.push_back(view(fresh, results[place].data(), session->results[place], sizeof(float), num_events));
  }
  views = std::move(fresh);
  return views;
}

std::size_t Batch::Tensors::checked(std::size_t event) const {
  if (event < capacity) return event;
  throw Error("event " + std::to_string(event) + " of a batch for " + std::to_string(capacity) + " events.");
}

Batch::Batch(const Model& model, std::size_t capacity) : tensors_(new Tensors) {
  if (capacity == 0) throw Error("a batch for 0 events; expected at least 1.");
  const Model::Session& session = *model.session_;
  tensors_->session = &session;
  tensors_->capacity = capacity;
  for (auto& readings : tensors_->readings) readings.assign(capacity * kNumSensors, kNoValue);
  if (model.takes_dead()) tensors_->dead.reset(new bool[capacity * kNumSensors]());
  for (const Output& output : session.outputs) tensors_->results.emplace_back(capacity * output.width);
  for (const Signature& input : session.inputs) tensors_->input_names.push_back(input.name.c_str());
  for (const Output& output : session.outputs) tensors_->output_names.push_back(output.name.c_str());
  tensors_->views.resize(capacity);
}

Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

std::size_t Batch::capacity() const { return tensors_->capacity; }
float* Batch::npho(std::size_t event) { return &tensors_->readings[0][tensors_->checked(event) * kNumSensors]; }
float* Batch::time(std::size_t event) { return &tensors_->readings[1][tensors_->checked(event) * kNumSensors]; }

bool* Batch::dead(std::size_t event) {
  if (!tensors_->dead) throw Error(tensors_->session->path + ": does not ask which sensors are dead.");
  return &tensors_->dead[tensors_->checked(event) * kNumSensors];
}

const float* Batch::output(std::size_t index, std::size_t event) const {
  if (index >= tensors_->results.size()) {
    throw Error("output " + std::to_string(index) + " of " + std::to_string(tensors_->results.size()) + ".");
  }
  return &tensors_->results[index][tensors_->checked(event) * tensors_->session->outputs[index].width];
}

float Batch::value(const std::string& name, std::size_t event, std::size_t component) const {
  const std::size_t place = tensors_->session->index(name.c_str());
  const std::size_t width = tensors_->session->outputs[place].width;
  if (component >= width) {
    throw Error("component " + std::to_string(component) + " of output '" + name + "', which has " +
                std::to_string(width) + ".");
  }
  return output(place, event)[component];
}

void Model::run(Batch& batch, std::size_t num_events) const {
  Batch::Tensors& tensors = *batch.tensors_;
  if (tensors.session != session_.get()) throw Error(session_->path + ": the batch was made for another model.");
  if (num_events == 0 || num_events > tensors.capacity) {
    throw Error("a run of " + std::to_string(num_events) + " events in a batch for 1 to " +
                std::to_string(tensors.capacity) + ".");
  }
  Batch::Tensors::Views& views = tensors.views_of(num_events);
  // The runtime writes into tensors that it is given, and replaces none of them.
  OrtStatus* status = api().Run(session_->session.get(), nullptr, tensors.input_names.data(), views.inputs.data(),
                                views.inputs.size(), tensors.output_names.data(), tensors.output_names.size(),
                                views.outputs.data());
  // Naming the file makes a text, which a run that went well does without.
  if (status != nullptr) check(status, session_->path);
}

}  // namespace xec

// The field as the kernel holds it: packed layers, and what the terms of their biases are made of.
#ifndef NEURODE_NETWORK_H
#define NEURODE_NETWORK_H

#include "product.h"

namespace NEURODE_VARIANT {

constexpr int whole_features(int features) { return (features + 15) / 16 * 16; }

// A part of a layer's bias. rows: a row a sample. at: where its weights stand among those of a block of samples (see
// Network::term_rows), or among the shared ones.
template <class T>
struct Term {
    const T* weight;
    int64_t row_stride, stride;
    T rate;
    int clock;
    bool rows;
    int64_t at;
};

template <class T>
struct Layer {
    int in, out, activation, num_terms;
    T skip;
    Packed<T> forward, backward;
    Array<Term<T>> terms;
    // The bias, where it is one for all and all there is.
    const T* bias;
    bool time;
    // A power of what the layer gets, and nothing else: its weight is the identity.
    bool plain;
    // Does the slope of the activation follow from what the next layer gets, or, plain, this one?
    bool slope_of_value;
    // Orientation of the weight gradient: does its long side lie along the layer's outputs? Rows, and their stride.
    bool along_out;
    int gradient_rows;
    int64_t gradient_stride, gradient_at;
};

// Numbers a sample's own terms take in a block, and shared ones: features, counted over all layers.
template <class T>
class Network {
public:
    Network(const neurode_field& field, bool reverse) : dim_(field.dim), count_(field.num_layers) {
        scale = static_cast<T>(field.scale);
        skip = static_cast<T>(field.skip);
        layers_.resize(count_);
        for (int i = 0; i < count_; ++i) read(layers_[i], field.layers[i], i + 1 == count_, reverse);
        shared_.resize(shared_terms);
        for (int i = 0; i < count_; ++i) {
            Layer<T>& layer = layers_[i];
            for (int j = 0; j < layer.num_terms; ++j) {
                const Term<T>& term = layer.terms[j];
                if (term.rows) continue;
                for (int o = 0; o < layer.out; ++o) shared_[term.at + o] = term.weight[o * term.stride];
                if (layer.num_terms == 1 && term.clock == NEURODE_CLOCK_ONE) layer.bias = shared_.data() + term.at;
            }
        }
    }
    int dim() const { return dim_; }
    int count() const { return count_; }
    const Layer<T>& layer(int i) const { return layers_.at(i); }
    // Can the way back do with the inputs of all layers, and no slopes?
    bool slopes_of_values() const {
        for (int i = 0; i < count_; ++i)
            if (layer(i).activation != NEURODE_IDENTITY && !layer(i).slope_of_value) return false;
        return true;
    }
    const T* shared() const { return shared_.data(); }

    T scale, skip;
    // Features in all terms: shared, and with a row a sample.
    int64_t shared_terms = 0, row_terms = 0;
    // Widest layer, and numbers in all weight gradients.
    int widest = 0;
    int64_t gradient_numbers = 0;
    bool time = false;

private:
    // Layers hold arrays, so they are made in place and never moved.
    class Layers {
    public:
        ~Layers() { delete[] data_; }
        void resize(int count) { data_ = new Layer<T>[static_cast<size_t>(count)](); }
        Layer<T>& operator[](int i) { return data_[i]; }
        const Layer<T>& at(int i) const { return data_[i]; }

    private:
        Layer<T>* data_ = nullptr;
    };

    static bool is_plain(const neurode_layer& layer) {
        if (layer.activation != NEURODE_SQUARE && layer.activation != NEURODE_CUBE) return false;
        if (layer.num_terms != 0 || layer.skip != 0 || layer.in != layer.out) return false;
        const T* weight = static_cast<const T*>(layer.weight);
        for (int o = 0; o < layer.out; ++o)
            for (int i = 0; i < layer.in; ++i)
                if (weight[o * layer.out_stride + i * layer.in_stride] != static_cast<T>(o == i ? 1 : 0)) return false;
        return true;
    }
    void read(Layer<T>& layer, const neurode_layer& from, bool last, bool reverse) {
        layer.in = from.in;
        layer.out = from.out;
        layer.activation = from.activation;
        layer.num_terms = from.num_terms;
        layer.skip = static_cast<T>(from.skip);
        layer.plain = is_plain(from);
        layer.slope_of_value = layer.plain || (!last && from.skip == 0 && (from.activation == NEURODE_TANH ||
                                                                           from.activation == NEURODE_RELU));
        const T* weight = static_cast<const T*>(from.weight);
        layer.forward.pack(weight, from.out, from.in, from.out_stride, from.in_stride);
        if (reverse) layer.backward.pack(weight, from.in, from.out, from.in_stride, from.out_stride);
        layer.terms.resize(from.num_terms);
        for (int j = 0; j < from.num_terms; ++j) {
            const neurode_term& given = from.terms[j];
            Term<T>& term = layer.terms[j];
            term = {static_cast<const T*>(given.weight),
                    given.row_stride,
                    given.stride,
                    static_cast<T>(given.rate),
                    given.clock,
                    given.row_stride != 0,
                    0};
            int64_t& place = term.rows ? row_terms : shared_terms;
            term.at = place;
            place += from.out;
            if (given.clock != NEURODE_CLOCK_ONE) layer.time = time = true;
        }
        widest = from.in > widest ? from.in : widest;
        widest = from.out > widest ? from.out : widest;
        const int64_t out = round_up<T>(from.out), in = round_up<T>(from.in);
        layer.along_out = from.in * out < from.out * in;
        layer.gradient_rows = layer.along_out ? from.in : from.out;
        layer.gradient_stride = layer.along_out ? out : in;
        layer.gradient_at = gradient_numbers;
        gradient_numbers += layer.gradient_rows * layer.gradient_stride;
    }

    int dim_, count_;
    Layers layers_;
    Array<T> shared_;
};

// clock(rate t) of the samples of a block, and its derivative by t.
template <class T>
NEURODE_INLINE Vec<T> clock_value(const Term<T>& term, Vec<T> t) {
    switch (term.clock) {
        case NEURODE_CLOCK_T:
            return t;
        case NEURODE_CLOCK_SIN:
            return sine_or_cosine<T, false>(t * term.rate);
        case NEURODE_CLOCK_COS:
            return sine_or_cosine<T, true>(t * term.rate);
        default:
            return broadcast<T>(1);
    }
}

template <class T>
NEURODE_INLINE Vec<T> clock_slope(const Term<T>& term, Vec<T> t) {
    switch (term.clock) {
        case NEURODE_CLOCK_T:
            return broadcast<T>(1);
        case NEURODE_CLOCK_SIN:
            return sine_or_cosine<T, true>(t * term.rate) * term.rate;
        case NEURODE_CLOCK_COS:
            return sine_or_cosine<T, false>(t * term.rate) * -term.rate;
        default:
            return broadcast<T>(0);
    }
}

}  // namespace NEURODE_VARIANT

#endif
